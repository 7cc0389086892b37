"""One random generator per window, so that a picture depends on its seed and not on how windows were batched."""

from __future__ import annotations

import hashlib

import torch

from lit_outpaint.canvas.geometry import Box, Direction


def window_seed(run_seed: int, window: Box, direction: Direction, candidate: int = 0) -> int:
    """The seed of one window: a hash of the run's seed, the place of the window and its direction.

    Versions of a window that are drawn to choose from are numbered; number 0 is what is drawn where there is no choice.
    The seed lies in [0, 2**53), which every reader of JSON holds exactly.
    """
    name = f"{run_seed}/{direction}/{window.x0},{window.y0},{window.x1},{window.y1}"
    name += f"/{candidate}" if candidate else ""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 11


def window_generator(run_seed: int, window: Box, direction: Direction, candidate: int = 0) -> torch.Generator:
    """A CPU generator seeded for one window; noise drawn on the CPU is the same on every device."""
    return torch.Generator().manual_seed(window_seed(run_seed, window, direction, candidate))
