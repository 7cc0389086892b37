"""Loading what an evaluation needs from disk, with one clear line for everything that is missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.clip import EvaluationClip
from lit_outpaint.assembly import load_checkpoint_pipeline
from lit_outpaint.heldout.evalset import EvalWindow, evalset_dir, read_windows
from lit_outpaint.heldout.panoramas import load_picture
from lit_outpaint.heldout.walks import Pixels
from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline

EVAL_CLIP = "eval_clip"


def load_clip(models: Path) -> EvaluationClip:
    """The evaluation CLIP of a model family.

    Raises:
        FileNotFoundError: the family has none.
    """
    return EvaluationClip(models / EVAL_CLIP)


def load_outpaint_pipeline(checkpoint: Path) -> OutpaintPipeline:
    """The pipeline that is scored: a pipeline directory, an overlay, or a training checkpoint.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: it is of another shape.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(f"--checkpoint must be a pipeline directory or a .ckpt file, found no {checkpoint}")
    pipeline = load_pipeline(checkpoint) if checkpoint.is_dir() else load_checkpoint_pipeline(checkpoint)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_base_pipeline(models: Path, flag: str = "--models") -> Any:
    """The stock text-to-image pipeline of a model family.

    Args:
        models: the family.
        flag: names it in messages.

    Raises:
        FileNotFoundError: there is none.
    """
    if not (models / "model_index.json").is_file():
        raise FileNotFoundError(f"{flag} must be a model family with model_index.json, found none in {models}")
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(models, local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_windows(data: Path, count: int) -> tuple[list[EvalWindow], Pixels]:
    """The first held-out windows by key and their pictures ``(n, H, W, 3)``; fewer when the set has fewer.

    Raises:
        ValueError: the pictures differ in size.
    """
    directory = evalset_dir(data)
    rows = sorted(read_windows(directory), key=lambda row: row.key)[:count]
    pictures = [load_picture(directory / row.image) for row in rows]
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        raise ValueError(f"all windows of {directory} must have one size, got {sorted(shapes)}")
    return rows, np.stack(pictures)


def picks(count: int, total: int) -> Sequence[int]:
    """Evenly spread indices of what a report shows."""
    return sorted(set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()))
