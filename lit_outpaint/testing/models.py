"""Doubles for tests: toy models of real classes with random weights; captioners and chat models with a script."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL.Image import Image
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
)

from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.chat.requests import ChatError, ChatReply, ChatRequest
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import Features
from lit_outpaint.models.context import ContextConfig, VisualInit
from lit_outpaint.models.encoders import family_dims
from lit_outpaint.protocols import CaptionError, Written

TOY_WINDOW_PX = 64
TOY_DIM = 32
TOY_CAPTIONS = (
    "a meadow with a red barn",
    "a desert with a green cactus at night",
    "a lake under a cloudy sky with mountains",
    "a wide view at dusk: a forest with a blue tent, a beach with a yellow boat",
)
SD15_UNET: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
"""unet/config.json of Stable Diffusion 1.5, where it differs from the class's defaults."""


def build_toy_family(directory: Path) -> Path:
    """Save a random-weight model family in the layout of models/scapes and return its directory.

    Windows are 64 px, latents 4 x 8 x 8, text 77 x 32, visual features 49 x 32; the schedule is that of the shipped
    family (v-prediction, zero terminal SNR). A directory that already holds a family is returned as it is.
    """
    if (directory / "model_index.json").is_file():
        return directory
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _save_family(directory)
    return directory


def toy_unet(in_channels: int = 4) -> UNet2DConditionModel:
    """A stock U-Net with cross-attention on both of its two levels."""
    return UNet2DConditionModel(
        sample_size=TOY_WINDOW_PX // 8,
        in_channels=in_channels,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=TOY_DIM,
        norm_num_groups=8,
    )


def toy_tokenizer(captions: Sequence[str] = TOY_CAPTIONS) -> CLIPTokenizer:
    """A CLIP tokenizer whose few merges were learnt from ``captions``."""
    alphabet = sorted(ByteLevel.alphabet())
    plain = CLIPTokenizer().backend_tokenizer
    trained = Tokenizer(BPE(end_of_word_suffix="</w>"))
    trained.normalizer, trained.pre_tokenizer = plain.normalizer, plain.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=2000, show_progress=False, initial_alphabet=alphabet, end_of_word_suffix="</w>", special_tokens=[]
    )
    trained.train_from_iterator(captions, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    names = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *(first + second for first, second in merges)]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def _save_family(directory: Path) -> None:
    tokenizer = toy_tokenizer()
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TOY_DIM,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        sample_size=TOY_WINDOW_PX,
        scaling_factor=0.5,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    image_encoder = CLIPVisionModel(
        CLIPVisionConfig(
            image_size=28,
            patch_size=4,
            hidden_size=TOY_DIM,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )
    side = {"height": 28, "width": 28}
    CLIPImageProcessor(size=side, crop_size=side).save_pretrained(directory / "image_processor")
    image_encoder.save_pretrained(directory / "image_encoder")
    base = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, toy_unet(), scheduler, None, None, requires_safety_checker=False
    )
    base.save_pretrained(directory)


def toy_batch(size: int = 4, seed: int = 0) -> OutpaintBatch:
    """Random features in the shapes of the toy family, growing to the right by half a window."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    cells, half = TOY_WINDOW_PX // 8, TOY_WINDOW_PX // 2
    mask = torch.zeros(size, 1, TOY_WINDOW_PX, TOY_WINDOW_PX)
    mask[..., half:] = 1
    moments = torch.cat([draw(size, 4, cells, cells), torch.full((size, 4, cells, cells), -4.0)], dim=1)
    text, empty = [draw(size, 77, TOY_DIM) for _ in range(2)], draw(77, TOY_DIM)
    masked_image_latents, visual = draw(size, 4, cells, cells), draw(size, 49, TOY_DIM)
    return OutpaintBatch(
        keys=tuple(f"toy-{number}" for number in range(size)),
        directions=("right",) * size,
        mask=mask,
        moments=moments,
        features=Features(text_local=text[0], text_global=text[1], visual=visual),
        empty=Features(text_local=empty, text_global=empty),
        masked_image_latents=masked_image_latents,
    )


def same_batch(one: OutpaintBatch, other: OutpaintBatch) -> bool:
    """Whether two batches are equal bit for bit."""

    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor):
            return torch.equal(a, b)
        return all(map(equal, a, b)) if isinstance(a, Features) else bool(a == b)

    return all(map(equal, one, other))


def build_toy_pipeline(family: Path, visual_init: VisualInit = "plain") -> Path:
    """Save an outpainting overlay of a toy family, ``family/outpaint``, and return its directory.

    All weights are random, those of the new input channels too, so that mask and masked image matter.
    """
    directory = build_toy_family(family) / "outpaint"
    if (directory / "outpaint.json").is_file():
        return directory
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        unet = toy_unet(in_channels=9)
        context = ContextConfig(visual_init=visual_init).build(family_dims(family))
    unet.save_pretrained(directory / "unet")
    context.save_pretrained(directory / "context")
    (directory / "outpaint.json").write_text('{"base": ".."}\n')
    return directory


def slurm_step(rank: int, ranks: int, per_node: int) -> dict[str, str]:
    """What ``srun`` tells a process; the local rank repeats on every node."""
    return {
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": str(ranks),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % per_node),
        "SLURM_NTASKS": str(ranks),
    }


def torchrun(rank: int, ranks: int, per_node: int) -> dict[str, str]:
    """What ``torchrun`` tells a process."""
    return {"RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": str(rank % per_node)}


class ScriptedCaptioner:
    """A captioner that notes what it is asked and gives its answers in turn; an error among them is raised.

    Args:
        answers: one per call; the last is given again and again.
        name: who writes; stands for the script in the identity.
        concurrency: how many calls it takes at once.
    """

    def __init__(self, answers: Sequence[str | CaptionError], name: str = "scripted", concurrency: int = 1) -> None:
        self.answers, self.name, self.concurrency = list(answers), name, concurrency
        self.asked: list[dict[str, Any]] = []

    def identity(self, call: str) -> dict[str, Any]:
        """Its name."""
        return {"call": call, "script": self.name}

    def imagine(self, caption: str, n: int) -> list[Written]:
        """The next answer, numbered."""
        text = self._answer(caption=caption, n=n)
        return [Written(f"{text} {number}", self.name) for number in range(n)]

    def summarise(self, captions: Sequence[str]) -> Written:
        """The next answer."""
        return Written(self._answer(captions=list(captions)), self.name)

    def next_local(
        self,
        *,
        view: Image | None,
        direction: Direction,
        global_caption: str,
        previous: Sequence[str],
        seen: Sequence[str],
        step: int,
    ) -> Written:
        """The next answer."""
        told = dict(global_caption=global_caption, previous=list(previous), seen=list(seen), step=step)
        return Written(self._answer(view=view, direction=direction, **told), self.name)

    def describe(self, image: Image) -> Written:
        """The next answer."""
        return Written(self._answer(image=image), self.name)

    def _answer(self, **asked: Any) -> str:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(asked)
        if isinstance(answer, CaptionError):
            raise answer
        return answer


class ScriptedChat:
    """A chat model that notes its requests and gives its replies in turn; an error among them is raised.

    Args:
        replies: one per request; the last is given again and again.
        sees: whether it takes pictures.
        name: kind and model.
        parameters: what its answers depend on.
    """

    concurrency = 4

    def __init__(
        self,
        replies: Sequence[str | ChatError],
        sees: bool = False,
        name: str = "scripted:chat",
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.replies, self.sees, self.name = list(replies), sees, name
        self.parameters = parameters or {"temperature": 0}
        self.requests: list[ChatRequest] = []

    def reply(self, request: ChatRequest) -> ChatReply:
        """The next reply, ten tokens for five."""
        reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(request)
        if isinstance(reply, ChatError):
            raise reply
        return ChatReply(text=reply, prompt_tokens=10, completion_tokens=5)
