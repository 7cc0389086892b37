"""Checkpoints: opened without running anything they hold, and refused in one line when they do not fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a training checkpoint onto the CPU, tensors and plain values only.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint of this project, or would need code to load.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist; give the .ckpt file that fit wrote")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(
            f"{path} must be a checkpoint that fit wrote, but it cannot be read; it may be cut short"
        ) from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "hyper_parameters"} <= checkpoint.keys():
        raise ValueError(
            f"{path} must be a checkpoint that fit wrote, got a file without state_dict and hyper_parameters"
        )
    return checkpoint


def check_shapes(saved: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Compare a checkpoint's weights with a model's.

    Raises:
        ValueError: names or shapes differ; the first difference is named.
    """
    for name in wanted:
        if name not in saved:
            raise ValueError(
                f"the checkpoint is of another model: it lacks {name}; give the config it was trained with"
            )
        if saved[name].shape != wanted[name].shape:
            raise ValueError(
                f"the checkpoint is of another shape: {name} must be {tuple(wanted[name].shape)}, "
                f"got {tuple(saved[name].shape)}; give the config it was trained with"
            )
    for name in saved:
        if name not in wanted:
            raise ValueError(
                f"the checkpoint is of another model: it has {name} too; give the config it was trained with"
            )
