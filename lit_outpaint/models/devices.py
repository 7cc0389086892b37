"""Where a model computes, and in which type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch

from lit_outpaint.system.ranks import local_rank

DeviceName = Literal["auto", "cpu", "cuda"]
DtypeName = Literal["float32", "tf32", "bfloat16", "float16"]


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


def allow_tf32(allowed: bool) -> None:
    """Say whether products of float32 matrices, and convolutions, may round their factors to TF32 on GPUs that can.

    torch has one switch for each, and lets convolutions do it unless told.
    """
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def with_tf32(allowed: bool) -> Iterator[None]:
    """`allow_tf32` for a while; as it was afterwards."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    allow_tf32(allowed)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def computing_in(dtype: DtypeName, device: torch.device) -> AbstractContextManager[None]:
    """Let convolutions and products compute in a type; weights, latents and the schedule's arithmetic stay float32.

    As mixed precision in training does it, so that no part needs to know. ``tf32`` keeps numbers in float32 and rounds
    the factors of products to ten bits.

    Raises:
        ValueError: TF32 is asked for where there is no GPU.
    """
    if dtype == "float32":
        return with_tf32(False)
    if dtype == "tf32":
        if device.type != "cuda":
            raise ValueError("--dtype tf32 needs an NVIDIA GPU; use float32 or bfloat16 on a CPU")
        return with_tf32(True)
    return torch.autocast(device.type, dtype=getattr(torch, dtype))
