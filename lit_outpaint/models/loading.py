"""Reads model directories: overlays part by part, each of the class that the overlay names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline, ModelMixin, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from lit_outpaint.diffusion.schedule import load_stored_scheduler
from lit_outpaint.models.context import ContextEncoder
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.overlay import UNET_CHANGES, language_at, read_overlay
from lit_outpaint.system.named import class_named

OPTIONS: dict[str, Any] = {"use_safetensors": True, "low_cpu_mem_usage": False, "local_files_only": True}
"""How parts of a model directory are loaded: from local safetensors alone."""

Pipeline = TypeVar("Pipeline", bound=DiffusionPipeline)


def load_overlay(directory: Path, dtype: torch.dtype | None) -> tuple[FrozenEncoders, dict[str, Any]]:
    """The frozen parts beneath an overlay, and its own by the names of a pipeline's arguments.

    Args:
        directory: of the overlay.
        dtype: of all weights; None is that in which the overlay's own are stored.
    """
    overlay = read_overlay(directory)
    dtype = dtype or stored_dtype(directory)
    place = directory if (directory / "unet").is_dir() else overlay.base
    unet = UNet2DConditionModel.from_pretrained(place, subfolder="unet", **OPTIONS)
    if (directory / UNET_CHANGES).is_file():
        lay_over(unet, load_file(directory / UNET_CHANGES))
    part: Any = ContextEncoder if overlay.context is None else class_named(overlay.context, ModelMixin)
    return FrozenEncoders.from_pretrained(overlay.base, overlay.vision, dtype=dtype), {
        "unet": cast(unet, dtype),
        "context": cast(part.from_pretrained(directory, subfolder="context", **OPTIONS), dtype),
        "scheduler": load_stored_scheduler(directory if (directory / "scheduler").is_dir() else overlay.base),
        "attention": overlay.attention,
        "language": overlay.language,
    }


def load_whole(kind: type[Pipeline], directory: Path) -> Pipeline:
    """A pipeline that was saved with all its parts, in the types that they are stored in.

    Raises:
        ValueError: a part is of a class that cannot be imported, or the language model is not there.
    """
    index = json.loads((directory / "model_index.json").read_text(encoding="utf-8"))
    for part in index.values():
        # Modules of ours and of users, which diffusers takes only where somebody has imported them.
        if isinstance(part, list) and len(part) == 2 and "." in str(part[0]):
            class_named(".".join(part), ModelMixin)
    language = index.get("language")
    more = {} if language is None else {"language": language_at(directory, language)}
    return kind.from_pretrained(directory, **OPTIONS, **more)


def stored_dtype(directory: Path) -> torch.dtype:
    """In what type a model directory stores its U-Net, or what an overlay changes of its family's, or its context."""
    for pattern in (UNET_CHANGES, "unet/*.safetensors", "context/*.safetensors"):
        for path in sorted(directory.glob(pattern)):
            with safe_open(path, framework="pt") as file:
                # Where nothing of the U-Net was trained there are no changes of it.
                for name in file.keys():  # noqa: SIM118 (no mapping)
                    return file.get_tensor(name).dtype
    return torch.float32


def lay_over(unet: UNet2DConditionModel, changes: Mapping[str, Tensor]) -> None:
    """Put the weights that training changed in the place of those that a U-Net has.

    Raises:
        ValueError: the U-Net has no such weights, so that the changes are those of another one.
    """
    own = unet.state_dict()
    odd = [name for name, weight in changes.items() if name not in own or own[name].shape != weight.shape]
    if odd:
        raise ValueError(f"{UNET_CHANGES} must fit the U-Net of the model family, but {odd[0]} does not")
    unet.load_state_dict(dict(changes), strict=False)


def changes_of(unet: UNet2DConditionModel, base: UNet2DConditionModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights, as ``dtype``, in which a U-Net differs from its base."""
    own, before = unet.state_dict(), base.state_dict()
    return {
        name: weight.to(dtype).contiguous().clone()
        for name, weight in own.items()
        if not torch.equal(weight.to(dtype), before[name].to(dtype))
    }


def with_dtype(pipeline: Pipeline, dtype: torch.dtype) -> Pipeline:
    """The pipeline with all its weights of one type, whatever they were stored as."""
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            cast(part, dtype)
    return pipeline


def cast(part: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """Cast weights; diffusers' own ``to`` warns about layers that none of our models has."""
    return torch.nn.Module.to(part, dtype=dtype)


def quiet_loading() -> None:
    """Show no bars while weights are loaded: it takes a moment, and they would only clutter logs."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
