"""Train the base text-to-image U-Net, which plays the part of Stable Diffusion 1.5, and assemble its pipeline.

    python -m data_prep.scapes.train_base --work runs/family --out models/scapes

Needs the autoencoder, the tokenizer and the text encoder of ``--out``; stock ``StableDiffusionPipeline`` loads the
result. It shares its loop with the other parts of the family; docs/family.md says why it is not ``fit``.
"""

import argparse

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel, CLIPTokenizer

from data_prep.scapes.command import arguments, forget_origin, record
from data_prep.scapes.corpus import Corpus
from data_prep.scapes.latents import WindowLatents
from data_prep.scapes.training import Budget, autocast, train
from lit_outpaint.diffusion.targets import add_noise, velocity
from lit_outpaint.models.attention import FullAttention

BATCH, CAPTION_DROPOUT = 64, 0.1


def new_unet() -> UNet2DConditionModel:
    """The untrained U-Net; ``attention_head_dim`` is in truth the number of heads (diffusers issue 2011)."""
    return UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 96, 112),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def new_scheduler() -> DDIMScheduler:
    """Noise schedule of the family: v-prediction with zero terminal SNR, so that night can be wholly dark."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
        set_alpha_to_one=True,
    )


class TextAndLatents:
    """Batches of latents and caption tokens; on a GPU from tables that lie there, on a CPU worked out when drawn."""

    def __init__(self, corpus: Corpus, latents: WindowLatents, tokenizer: CLIPTokenizer, device: torch.device) -> None:
        self.corpus, self.latents, self.tokenizer, self.device = corpus, latents, tokenizer, device
        self._empty = self._tokens([""])[0]
        self._tables = self._filled() if device.type == "cuda" else None

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Latents ``(B, 4, h, w)`` and tokens ``(B, L)`` of one of the captions; some are the empty one."""
        indices, kept = rng.choice(len(self.corpus), size, replace=False), rng.random(size) >= CAPTION_DROPOUT
        if self._tables is None:
            captions = [c if k else "" for c, k in zip(self.corpus.random_captions(indices, rng), kept, strict=True)]
            return self.latents.take(indices), self._tokens(captions)
        latents, tokens = self._tables
        window, caption, keep = (
            torch.from_numpy(a).to(self.device) for a in (indices, rng.integers(6, size=size), kept)
        )
        return latents[window].float(), torch.where(keep[:, None], tokens[window, caption].long(), self._empty)

    def _tokens(self, captions: list[str]) -> Tensor:
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        return tokens.input_ids.to(self.device)

    def _filled(self) -> tuple[Tensor, Tensor]:
        self.latents.fill()
        self.corpus.look_at_all()
        tokens = [self._tokens(self.corpus.captions(index)).short() for index in range(len(self.corpus))]
        return torch.from_numpy(self.latents.store[:]).to(self.device), torch.stack(tokens)


def staged_option(parser: argparse.ArgumentParser) -> None:
    """Add the share of windows that are staged."""
    parser.add_argument(
        "--staged_share",
        type=float,
        default=0.0,
        help="share of windows that are put together of one to four things",
    )


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=30, lr=3e-3, windows=20_000, warm=True, batch_size=BATCH, more=staged_option)
    device = args.device
    vae = AutoencoderKL.from_pretrained(args.out, subfolder="vae").float().to(device, memory_format=torch.channels_last)
    text_encoder = (
        CLIPTextModel.from_pretrained(args.out, subfolder="text_encoder", dtype=torch.float32).eval().to(device)
    )
    tokenizer = CLIPTokenizer.from_pretrained(args.out, subfolder="tokenizer")
    corpus = Corpus(args.work, args.windows, staged_share=args.staged_share)
    latents = WindowLatents(args.work / f"{corpus.name.replace('windows', 'latents')}.npy", corpus.windows, vae, device)
    source = TextAndLatents(corpus, latents, tokenizer, device)
    unet = UNet2DConditionModel.from_pretrained(args.out, subfolder="unet").float() if args.warm else new_unet()
    unet, scheduler = unet.to(device, memory_format=torch.channels_last), new_scheduler()
    alphas_cumprod = scheduler.alphas_cumprod.to(device)
    FullAttention().install(unet)
    if args.compile:
        unet.compile()

    def loss(step: int) -> dict[str, Tensor]:
        rng, generator = np.random.default_rng((args.seed, 4, step)), torch.Generator().manual_seed(step)
        clean, tokens = source.batch(rng, args.batch_size)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        timesteps = torch.randint(0, len(alphas_cumprod), (len(clean),), generator=generator).to(device)
        noisy_latents = add_noise(clean, noise, timesteps, alphas_cumprod)
        with autocast(device):
            with torch.no_grad():
                encoder_hidden_states = text_encoder(tokens).last_hidden_state
            model_pred = unet(noisy_latents, timesteps, encoder_hidden_states).sample
        target = velocity(clean, noise, timesteps, alphas_cumprod)
        return {"loss": mse_loss(model_pred.float(), target)}

    budget = Budget(
        minutes=args.minutes, lr=args.lr, schedule="cosine", ema_decay=0.995, checkpoint_minutes=2.0, weights_minutes=15
    )
    spent = train(unet, loss, budget, args.work / "base", log_every=20)
    for part in (vae, unet):
        forget_origin(part)
    StableDiffusionPipeline(
        vae=vae.half(),
        text_encoder=text_encoder.half(),
        tokenizer=tokenizer,
        unet=unet.half(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(args.out)
    record(args, "base", spent, sum(p.numel() for p in unet.parameters()))


if __name__ == "__main__":
    main()
