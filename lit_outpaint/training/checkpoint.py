"""Checkpoints: put in place whole, found again, opened without running anything they hold, refused in one line."""

import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from lit_outpaint.system.files import sync
from lit_outpaint.training.sharded_checkpoint import META, load_mapped, rank_files, read_shards

log = logging.getLogger(__name__)

LAST: Final = "last.ckpt"
PREVIOUS: Final = "previous.ckpt"
"""Beside it: the ``last.ckpt`` before."""


def publish(draft: Path, path: Path) -> None:
    """Give a written checkpoint its name once all of it is on the disk.

    A ``last.ckpt`` that is there becomes ``previous.ckpt``; any other file of the name is replaced. Interrupted
    anywhere, at least one of the two is whole.
    """
    for file in [draft, *sorted(draft.rglob("*"))] if draft.is_dir() else [draft]:
        sync(file)
    if path.name == LAST and path.exists():
        _replace(path, path.with_name(PREVIOUS))
    _replace(draft, path)
    sync(path.parent)


def newest_checkpoint(run_dir: Path) -> Path | None:
    """The checkpoint to continue from: ``last.ckpt``, or the one before where that is damaged; None in a new run.

    Raises:
        ValueError: there are checkpoints, and none of them is whole.
    """
    paths = [run_dir / name for name in (LAST, PREVIOUS) if (run_dir / name).exists()]
    for path in paths:
        if is_whole(path):
            return path
        log.warning("%s is damaged and passed over", path)
    if paths:
        raise ValueError(
            f"a run continues from a whole checkpoint, but {' and '.join(map(str, paths))} are damaged;"
            " put a copy in their place, or start over with --overwrite true and without --ckpt_path"
        )
    return None


def remove(path: Path) -> None:
    """Delete a file or a directory, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def checkpoint_step(path: str | Path) -> int:
    """Optimiser steps that a checkpoint has behind it; its weights stay on the disk."""
    path = Path(path)
    return int(torch.load(path / META if path.is_dir() else path, weights_only=True, mmap=True)["global_step"])


def checkpoint_part(path: str | Path, key: str) -> Any:
    """What a checkpoint holds under a key, None where it has no such key; its weights stay on the disk."""
    path = Path(path)
    head = torch.load(path / META if path.is_dir() else path, weights_only=True, mmap=True)
    return (head["checkpoint"] if path.is_dir() else head).get(key)


def is_whole(path: Path) -> bool:
    """Whether every byte of a checkpoint is as it was written: a file by its checksums, a directory by its files."""
    if path.is_dir():
        return is_whole(path / META) and all(is_whole(path / name) for name in rank_files(path))
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError):
        return False


def read_checkpoint(path: str | Path, without: Collection[str] = ()) -> dict[str, Any]:
    """Load a training checkpoint onto the CPU, tensors and plain values only.

    Tensors of one file are mapped, not read: memory is taken by what is used of them.

    Args:
        path: file or directory.
        without: keys to leave out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint of this project, or would need code to load.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"checkpoint {path} does not exist; give the .ckpt that fit wrote")
    try:
        if path.is_dir():
            checkpoint = read_shards(path, without=without)
        else:
            # Mapped tensors are not compared with their checksums by torch.
            if not is_whole(path):
                raise EOFError
            checkpoint = load_mapped(path)
            if isinstance(checkpoint, dict):
                checkpoint = {key: value for key, value in checkpoint.items() if key not in without}
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


def _replace(source: Path, target: Path) -> None:
    """Rename over what is there, a directory included."""
    if target.is_dir() or source.is_dir():
        remove(target)
    os.replace(source, target)
