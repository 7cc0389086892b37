"""Reads model directories: overlays part by part, each of the class that the overlay names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline, ModelMixin, UNet2DConditionModel

from lit_outpaint.diffusion.schedule import load_stored_scheduler
from lit_outpaint.models.context import ContextEncoder
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.overlay import OVERLAY_NAME, read_overlay
from lit_outpaint.system.named import class_named

OPTIONS: dict[str, Any] = {"use_safetensors": True, "low_cpu_mem_usage": False, "local_files_only": True}
"""How parts of a model directory are loaded: from local safetensors alone."""

Pipeline = TypeVar("Pipeline", bound=DiffusionPipeline)


def is_model(directory: str | Path) -> Path:
    """The directory of a model, whole or as an overlay.

    Raises:
        ValueError: there is none.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ValueError(f"the model must be a directory with a pipeline, {directory} does not exist")
    if not any((directory / name).is_file() for name in (OVERLAY_NAME, "model_index.json")):
        raise ValueError(
            f"the model must hold {OVERLAY_NAME} or model_index.json, {directory} holds neither; export one"
        )
    return directory


def load_overlay(directory: Path, dtype: torch.dtype) -> tuple[FrozenEncoders, dict[str, Any]]:
    """The frozen parts beneath an overlay, and its own by the names of a pipeline's arguments."""
    overlay = read_overlay(directory)
    part: Any = ContextEncoder if overlay.context is None else class_named(overlay.context, ModelMixin)
    return FrozenEncoders.from_pretrained(overlay.base, dtype=dtype), {
        "unet": cast(UNet2DConditionModel.from_pretrained(directory, subfolder="unet", **OPTIONS), dtype),
        "context": cast(part.from_pretrained(directory, subfolder="context", **OPTIONS), dtype),
        "scheduler": load_stored_scheduler(directory if (directory / "scheduler").is_dir() else overlay.base),
        "attention": overlay.attention,
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
