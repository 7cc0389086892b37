"""What makes a window's pixels independent of the windows that are drawn beside it, on CPUs.

CPU libraries choose how they compute by the number of rows they are given, and another way rounds differently. None of
this changes a U-Net for longer than a denoising loop.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel


@contextmanager
def one_timestep(unet: UNet2DConditionModel) -> Iterator[None]:
    """Embed the timestep once for the whole batch, where all samples stand at the same one.

    It is less work, and makes a sample's result independent of its batch: products of few rows are the only ones that
    CPU libraries compute in another order for another number of rows.
    """
    hook = unet.time_embedding.register_forward_pre_hook(lambda module, inputs: (inputs[0][:1], *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def windows_at_once(count: int, device: torch.device) -> int:
    """How many of ``count`` windows go through the U-Net together, in parts as even as can be.

    On a CPU at most 7: two rows each make 14 under guidance, and from 16 rows on convolutions on one thread take
    another path and round differently, so that pixels would depend on the batch size (seen with torch 2.15).
    """
    parts = math.ceil(count / 7) if device.type == "cpu" else 1
    return math.ceil(count / parts)


def copies_of_rows(count: int, guided: bool) -> int:
    """How often each window goes through the U-Net: twice under guidance, and twice when it is alone.

    One row alone takes another path through CPU convolutions than the same row among others, hence two at least.
    """
    return 2 if guided or count == 1 else 1
