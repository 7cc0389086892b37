"""Low-rank adapters of the U-Net (LoRA): added by PEFT, merged for drawing, written as stock diffusers reads them.

A weight W becomes W + alpha / rank * B A, of which A and B are trained. Source: Hu et al. 2021, arXiv:2106.09685.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

LORA_FILE: Final = "pytorch_lora_weights.safetensors"
"""Name under which ``load_lora_weights`` of diffusers looks in a directory."""
NO_PEFT: Final = "model.base.train lora needs the package peft; install lit-outpaint[lora], or train attention"


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Adapters of ``train: lora``."""

    rank: int = 16
    """Rows of A, columns of B: how much an adapter can say."""
    alpha: float = 16.0
    """What the adapters add is multiplied by alpha / rank."""
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Ends of the names of the linear layers and convolutions that get one; the default is all of attention."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise ValueError(f"lora.rank must be at least 1 and lora.alpha positive, got {self.rank} and {self.alpha}")
        if not self.targets:
            raise ValueError("lora.targets must name at least one kind of layer, such as to_q, got none")


def require_peft() -> None:
    """Refuse adapters where nothing can add them.

    Raises:
        ValueError: PEFT is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise ValueError(NO_PEFT)


def add_lora(unet: UNet2DConditionModel, settings: LoraSettings) -> None:
    """Freeze a U-Net and give it adapters, which start by adding nothing.

    Raises:
        ValueError: PEFT is not installed, or a target names no layer.
    """
    require_peft()
    from peft import LoraConfig

    layers = [name for name, layer in unet.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    for target in settings.targets:
        if not any(is_target(name, (target,)) for name in layers):
            raise ValueError(f"lora.targets must end names of layers of the U-Net, such as to_q or conv1, got {target!r}")
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=list(settings.targets))
    )


def is_target(layer: str, targets: tuple[str, ...]) -> bool:
    """Whether a layer of this name gets an adapter: a target is its whole name, or ends it behind a dot."""
    return any(layer == target or layer.endswith(f".{target}") for target in targets)


def has_lora(unet: UNet2DConditionModel) -> bool:
    """Whether adapters were added and not merged."""
    return bool(getattr(unet, "_hf_peft_config_loaded", False))


def merge_lora(unet: UNet2DConditionModel) -> None:
    """Add the adapters to the weights, in place; a U-Net without any stays as it is."""
    if has_lora(unet):
        unet.fuse_lora()
        unet.unload_lora()


def write_lora(unet: UNet2DConditionModel, settings: LoraSettings, directory: Path, dtype: torch.dtype) -> None:
    """Write the adapters of a U-Net as ``LORA_FILE``, for ``load_lora_weights`` of diffusers."""
    from diffusers import StableDiffusionPipeline  # Takes seconds to load.

    StableDiffusionPipeline.save_lora_weights(directory, unet_lora_layers=_for_diffusers(unet, settings, dtype))


def _for_diffusers(unet: UNet2DConditionModel, settings: LoraSettings, dtype: torch.dtype) -> dict[str, Tensor | Any]:
    """The adapters by diffusers' names; B takes the factor, so that readers need not know alpha."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(unet)
    scale = settings.alpha / settings.rank
    scaled = {name: weight * scale if ".lora_B." in name else weight for name, weight in weights.items()}
    return {
        name: weight.to(dtype).contiguous() for name, weight in convert_state_dict_to_diffusers(scaled).items()
    }
