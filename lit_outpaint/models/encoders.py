"""The frozen encoders of a model family: VAE, text encoder, vision encoder.

Pixels are float in [-1, 1] on this side of every method; what each encoder wants instead (its own size, CLIP's mean
and standard deviation, the VAE's scaling factor) is applied here and nowhere else. The same methods serve shard
writing, training and inference, so that features cannot differ between them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
)

from lit_outpaint.models.context import ContextDims
from lit_outpaint.system.one_line import refused_in_one_line

MEND: Final = "give a model directory with whole safetensors files, or a hub name where the hub can be reached"
"""What helps against all faults of loading."""


class FrozenEncoders(nn.Module):
    """VAE, text encoder and vision encoder that no training changes."""

    def __init__(
        self,
        vae: AutoencoderKL,
        tokenizer: CLIPTokenizer,
        text_encoder: CLIPTextModel,
        image_encoder: CLIPVisionModel | None,
        image_processor: CLIPImageProcessor | None,
    ) -> None:
        super().__init__()
        self.vae = vae
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder
        self.image_encoder = image_encoder
        self.image_processor = image_processor
        self.requires_grad_(False).eval()

    @classmethod
    def from_pretrained(
        cls, pretrained: str | Path, vision: str | Path | None = None, dtype: torch.dtype = torch.float32
    ) -> "FrozenEncoders":
        """Load the encoders of a Stable Diffusion directory.

        Args:
            pretrained: directory or hub name with vae/, tokenizer/, text_encoder/ and, unless ``vision`` is given,
                image_encoder/ and image_processor/.
            vision: directory or hub name of a CLIP whose vision encoder is used instead, for families without one.
            dtype: of the weights, whatever they are stored as.

        Raises:
            FileNotFoundError: a local directory lacks one of the parts.
        """
        parts = ["vae", "tokenizer", "text_encoder"] + (["image_encoder"] if vision is None else [])
        check_parts(pretrained, parts)
        where = _vision_location(pretrained, vision)
        processor = {} if vision is not None else {"subfolder": "image_processor"}
        seen = where["pretrained_model_name_or_path"]
        eyes = Path(seen) / where.get("subfolder", "")
        with refused_in_one_line(f"an encoder of {pretrained}{_besides(vision)}", MEND):
            return cls(
                vae=AutoencoderKL.from_pretrained(
                    pretrained, subfolder="vae", dtype=dtype, **weights_of(Path(pretrained) / "vae")
                ),
                tokenizer=CLIPTokenizer.from_pretrained(pretrained, subfolder="tokenizer"),
                text_encoder=CLIPTextModel.from_pretrained(
                    pretrained, subfolder="text_encoder", dtype=dtype, **weights_of(Path(pretrained) / "text_encoder")
                ),
                # Vision encoders of the hub may be old enough to come as .bin alone; transformers unpickles tensors
                # and nothing else.
                image_encoder=CLIPVisionModel.from_pretrained(**where, dtype=dtype, variant=weights_variant(eyes)),
                image_processor=CLIPImageProcessor.from_pretrained(seen, **processor),
            )

    def train(self, mode: bool = True) -> "FrozenEncoders":
        """Stay in evaluation mode: frozen parts have no training mode."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie; the CPU where sequential offload keeps them, whose hooks move what layers take."""
        device = self.vae.device
        return torch.device("cpu") if device.type == "meta" and hasattr(self.vae, "_hf_hook") else device

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the weights."""
        return self.vae.dtype

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "b l d"]:
        """Last hidden state of the text encoder; captions beyond its length lose their end (`count_truncated`)."""
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state

    def count_tokens(self, captions: Sequence[str]) -> list[int]:
        """Tokens of each caption with its begin and end marks, before any truncation."""
        return [len(ids) for ids in self.tokenizer(list(captions), truncation=False, verbose=False).input_ids]

    def count_truncated(self, captions: Sequence[str]) -> int:
        """How many captions are longer than the text encoder reads."""
        return sum(count > self.tokenizer.model_max_length for count in self.count_tokens(captions))

    @torch.no_grad()
    def encode_visual(
        self, pixel_values: Float[Tensor, "b 3 hh ww"] | Sequence[Float[Tensor, "3 _ _"]]
    ) -> Float[Tensor, "b k v"]:
        """Patch tokens of the vision encoder, class token dropped, before any projection.

        Args:
            pixel_values: pictures in [-1, 1], a batch or a list of any sizes; each is resized to the encoder's square.
        """
        if self.image_encoder is None or self.image_processor is None:
            raise ValueError("the conditioning reads pictures, but this model has no image encoder; give one")
        side = self.image_encoder.config.image_size
        squares = torch.cat([_resize(picture[None], side) for picture in pixel_values])
        mean, std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (self.image_processor.image_mean, self.image_processor.image_std)
        )
        normalised = ((squares.to(self.device) + 1) / 2 - mean) / std
        return self.image_encoder(normalised.to(self.dtype)).last_hidden_state[:, 1:]

    @torch.no_grad()
    def encode_image(self, pixel_values: Float[Tensor, "b 3 hh ww"]) -> Float[Tensor, "b c h w"]:
        """Moments (mean, log-variance; not scaled) of the latents: (B, 8, H / 8, W / 8)."""
        return self.vae.encode(pixel_values.to(self.device, self.dtype)).latent_dist.parameters

    def encode_mode(self, pixel_values: Float[Tensor, "b 3 hh ww"]) -> Float[Tensor, "b c h w"]:
        """Most likely latents, scaled: what stands for a masked image."""
        return latent_mode(self.encode_image(pixel_values), self.scaling_factor)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 hh ww"]:
        """Pixels of scaled latents, clamped to [-1, 1]."""
        return self.vae.decode((latents / self.scaling_factor).to(self.dtype)).sample.clamp(-1, 1)

    @property
    def scaling_factor(self) -> float:
        """Factor that brings raw latents to about unit variance."""
        return float(self.vae.config.scaling_factor)


def latent_mode(moments: Float[Tensor, "b m h w"], scaling_factor: float) -> Float[Tensor, "b c h w"]:
    """Scaled mean of the latent distribution."""
    return moments.chunk(2, dim=1)[0] * scaling_factor


def sample_latents(
    moments: Float[Tensor, "b m h w"], scaling_factor: float, noise: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    """Make scaled latents of moments and unit noise, as ``DiagonalGaussianDistribution`` of diffusers does."""
    mean, log_variance = moments.chunk(2, dim=1)
    return (mean + (log_variance.clamp(-30, 20) / 2).exp() * noise) * scaling_factor


def family_dims(pretrained: str | Path, vision: str | Path | None = None) -> ContextDims:
    """Sizes of a family's text and visual features, read from its configurations alone.

    Raises:
        FileNotFoundError: a local directory lacks the text or the vision encoder.
    """
    check_parts(pretrained, ["text_encoder"] + (["image_encoder"] if vision is None else []))
    with refused_in_one_line(f"the configuration of {pretrained}{_besides(vision)}", MEND):
        text = CLIPTextConfig.from_pretrained(pretrained, subfolder="text_encoder")
        sight = CLIPVisionConfig.from_pretrained(**_vision_location(pretrained, vision))
    return ContextDims(
        text_length=text.max_position_embeddings,
        text_dim=text.hidden_size,
        visual_length=(sight.image_size // sight.patch_size) ** 2,
        visual_dim=sight.hidden_size,
    )


def family_scaling_factor(pretrained: str | Path) -> float:
    """The VAE's scaling factor, read from its configuration alone.

    Raises:
        FileNotFoundError: a local directory lacks the VAE.
    """
    check_parts(pretrained, ["vae"])
    with refused_in_one_line(f"the configuration of {pretrained}", MEND):
        return float(AutoencoderKL.load_config(pretrained, subfolder="vae").get("scaling_factor", 0.18215))


def check_parts(pretrained: str | Path, parts: Sequence[str]) -> None:
    """Refuse a local model directory that lacks a part; a hub name is left to the hub.

    A missing path counts as a hub name when it reads ``owner/name`` and no directory ``owner`` exists.

    Raises:
        FileNotFoundError: the directory, or one of ``parts`` in it, is missing.
    """
    directory = Path(pretrained)
    if not directory.exists() and len(directory.parts) == 2 and not directory.parent.exists():
        return
    if not directory.is_dir():
        raise FileNotFoundError(f"model directory {directory} does not exist; give the path of a model family")
    for part in parts:
        if not (directory / part).is_dir():
            raise FileNotFoundError(
                f"model directory {directory} must hold {part}/, which is missing; "
                + ("give the vision encoder by its own key" if part == "image_encoder" else "download it again")
            )


def weights_of(folder: Path) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` by which weights are read from safetensors alone, a directory's or a hub's."""
    return {"use_safetensors": True, "variant": weights_variant(folder)}


def weights_variant(folder: Path) -> str | None:
    """The variant of the weights in a directory: None for the plain ones, ``fp16`` where it holds no others."""
    names = [path.name for path in folder.glob("*.safetensors")]
    half = [name for name in names if ".fp16" in name]
    return "fp16" if half and len(half) == len(names) else None


def _besides(vision: str | Path | None) -> str:
    return "" if vision is None else f" with {vision}"


def _vision_location(pretrained: str | Path, vision: str | Path | None) -> dict[str, str]:
    """Arguments of ``from_pretrained`` that find the vision encoder."""
    if vision is not None:
        return {"pretrained_model_name_or_path": str(vision)}
    return {"pretrained_model_name_or_path": str(pretrained), "subfolder": "image_encoder"}


def _resize(pixel_values: Float[Tensor, "b 3 hh ww"], side: int) -> Float[Tensor, "b 3 {side} {side}"]:
    """Resize to a square, smoothed when shrinking, without leaving [-1, 1]."""
    if pixel_values.shape[-2:] == (side, side):
        return pixel_values
    resized = interpolate(pixel_values, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(-1, 1)
