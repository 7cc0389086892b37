"""The denoiser: a stock diffusers U-Net whose first convolution also reads the mask and the masked image.

The nine input channels are, in this order, the noisy latents (4), the mask (1, 1 = generate) and the latents of the
image with the part to generate blanked (4): the order of Stable Diffusion inpainting weights, which therefore load
as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from lit_outpaint.models.encoders import MEND, check_parts, weights_of
from lit_outpaint.models.loading import lay_over
from lit_outpaint.models.lora import LoraSettings, add_lora, is_target, require_peft
from lit_outpaint.models.overlay import UNET_CHANGES, family_of
from lit_outpaint.system.one_line import refused_in_one_line

LATENT_CHANNELS = 4
INPAINT_CHANNELS = 9
Train = Literal["all", "attention", "lora", "none"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which weights training starts from and which of them it changes."""

    pretrained: str = "models/scapes"
    """Model family: a Stable Diffusion directory or hub name with vae/, text_encoder/, tokenizer/, unet/, scheduler/
    and, unless ``vision`` is given, image_encoder/ and image_processor/; or a whole Stable Diffusion in one
    .safetensors file, which is unpacked into the cache once."""
    pretrained_config: str | None = None
    """Directory or hub name of a family that gives a single file its sizes, tokeniser and schedule; Stable Diffusion
    1.5 when absent."""
    unet: str | None = None
    """Directory or hub name whose unet/ is trained instead of the family's (4 or 9 input channels)."""
    outpaint: str | None = None
    """Exported model to continue from: its U-Net and its context/ are trained instead of the family's U-Net and a new
    context."""
    vision: str | None = None
    """Directory or hub name of the CLIP whose vision encoder is used, for families that have none."""
    train: Train = "all"
    """all: every weight of the U-Net; attention: its attention layers and the first convolution; lora: low-rank
    adapters of its layers, and the first convolution where that gets new channels; none: nothing of it (the
    conditioning is always trained)."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    """Adapters of ``train: lora``."""
    channels_last: bool = False
    """Memory layout of the U-Net's convolutions; faster on GPUs and with bfloat16 on CPUs."""
    gradient_checkpointing: bool = False
    """Compute activations twice to hold fewer of them."""
    task: Literal["outpaint", "text_to_image"] = "outpaint"
    """outpaint: a U-Net of nine channels fills the masked side of windows; text_to_image: one of four channels draws
    whole windows from the captions alone."""
    compile: bool = False
    """Compile the U-Net (``torch.compile``): faster steps after a first one that takes minutes. Needs a C++ compiler on
    CPUs."""

    def __post_init__(self) -> None:
        if self.unet is not None and self.outpaint is not None:
            raise ValueError(f"unet and outpaint both name a U-Net to start from, {self.unet} and {self.outpaint}")
        if self.train == "lora":
            require_peft()


def load_unet(config: ModelConfig) -> UNet2DConditionModel:
    """Load the U-Net that training starts from, with the input channels of its task and its trained part marked.

    Raises:
        FileNotFoundError: a local directory lacks unet/.
        ValueError: the U-Net cannot be loaded, or reads another number of channels.
    """
    home = config.outpaint or config.unet or config.pretrained
    changes = Path(home) / UNET_CHANGES
    if changes.is_file():
        home = str(family_of(Path(home)))
    check_parts(home, ["unet"])
    place = Path(home) if Path(home).is_dir() else home
    with refused_in_one_line(f"unet of {home}", MEND):
        unet = UNet2DConditionModel.from_pretrained(place, subfolder="unet", **weights_of(Path(home) / "unet"))
    if changes.is_file():
        lay_over(unet.float(), load_file(changes))
    channels = {"outpaint": INPAINT_CHANNELS, "text_to_image": LATENT_CHANNELS}[config.task]
    given = unet.config.in_channels
    unet = extend_conv_in(unet.float(), channels)
    mark_trained(unet, config.train, config.lora, extended=given != channels)
    if config.channels_last:
        unet.to(memory_format=torch.channels_last)
    if config.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    return unet.train()


def mark_trained(unet: UNet2DConditionModel, train: Train, lora: LoraSettings, *, extended: bool) -> None:
    """Say which weights training changes; see `ModelConfig`. Changed in place.

    Args:
        unet: with the input channels of its task.
        train: which weights.
        lora: the adapters, where these are trained.
        extended: whether the first convolution has new channels, which must learn what they are for.
    """
    unet.requires_grad_(train == "all")
    if train == "attention":
        for parameter in _attention_parameters(unet):
            parameter.requires_grad_(True)
    elif train == "lora":
        add_lora(unet, lora)
        if extended and not is_target("conv_in", lora.targets):
            unet.conv_in.requires_grad_(True)


def extend_conv_in(unet: UNet2DConditionModel, in_channels: int = INPAINT_CHANNELS) -> UNet2DConditionModel:
    """Return ``unet`` with a first convolution that reads ``in_channels`` channels; changed in place.

    The new channels start with zero weights, so that the output does not depend on what they hold until training
    has moved them. A U-Net that already reads ``in_channels`` channels is returned unchanged.

    Args:
        unet: text-to-image U-Net with 4 input channels, or an inpainting U-Net.
        in_channels: wanted number of input channels, 9 for noisy latents + mask + masked-image latents.

    Raises:
        ValueError: the U-Net reads a number of channels that cannot be extended to ``in_channels``.
    """
    old = unet.conv_in
    if old.in_channels == in_channels:
        return unet
    if old.in_channels != LATENT_CHANNELS or in_channels < LATENT_CHANNELS:
        raise ValueError(
            f"the base U-Net must read {in_channels} channels, or {LATENT_CHANNELS} to be extended to them, got "
            f"{old.in_channels}; choose another unet"
        )
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        kernel_size=old.kernel_size,
        stride=old.stride,
        padding=old.padding,
        bias=old.bias is not None,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :LATENT_CHANNELS].copy_(old.weight)
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=in_channels)
    return unet


def unet_input(
    noisy_latents: Float[Tensor, "b c h w"],
    mask: Float[Tensor, "b 1 mh mw"],
    masked_image_latents: Float[Tensor, "b c h w"],
) -> Float[Tensor, "b d h w"]:
    """Stack what the U-Net reads: noisy latents, mask at latent size, masked-image latents.

    Args:
        noisy_latents: latents at the current timestep.
        mask: 1 = generate, 0 = keep; at pixel or latent size. Mask borders lie on latent cells, so that taking the
            nearest pixel loses nothing.
        masked_image_latents: scaled latents of the image with the 1s of the mask blanked.
    """
    mask = nn.functional.interpolate(mask, size=noisy_latents.shape[-2:], mode="nearest")
    return torch.cat([noisy_latents, mask.to(noisy_latents.dtype), masked_image_latents], dim=1)


def _attention_parameters(unet: UNet2DConditionModel) -> Iterator[nn.Parameter]:
    """Weights of the attention layers, and of the first convolution, which must learn to read its new channels."""
    for name, parameter in unet.named_parameters():
        if ".attn1." in name or ".attn2." in name or name.startswith("conv_in."):
            yield parameter
