"""Where a model computes, and in which type."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from lit_outpaint.system.ranks import local_rank

DeviceName = Literal["auto", "cpu", "cuda"]
DtypeName = Literal["float32", "bfloat16", "float16"]


def device_named(name: DeviceName) -> torch.device:
    """The device of a name; ``auto`` takes a GPU if there is one, and ranks of one node take its GPUs in turn.

    Raises:
        ValueError: a GPU is asked for, and torch can use none.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use, there is none; use --device cpu")
    return torch.device("cuda", local_rank(os.environ) % torch.cuda.device_count())


def computing_in(dtype: DtypeName, device: torch.device) -> AbstractContextManager[None]:
    """Let convolutions and products compute in a type; weights, latents and the schedule's arithmetic stay float32.

    As mixed precision in training does it, so that no part needs to know.
    """
    if dtype == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, dtype))
