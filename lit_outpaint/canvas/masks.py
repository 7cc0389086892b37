"""What may be new in a window that a model learns from: sides and corners, and holes of several kinds.

Outpainting grows sides and corners. Other work asks for more: a ring is closed by a gap between two known sides, a
picture is mended in boxes and in the shapes of things, and the joint engine begins where nothing is known at all.
All edges lie on latent cells.
"""

from typing import Literal, cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.canvas.geometry import GROWTHS, VAE_FACTOR, Box, Direction, Growth, growth_px, known_box

Hole = Literal["gap", "box", "shape", "all"]
"""gap: columns between known ones; box: a rectangle; shape: an ellipse, as wide and high as a thing may be; all: the
whole window, of which nothing is known."""

MaskKind = Growth | Hole

HOLES: tuple[Hole, ...] = get_args(Hole)
MASK_KINDS: tuple[MaskKind, ...] = (*GROWTHS, *HOLES)

STRETCH = 1.5
"""Boxes and shapes are up to this many times as wide as high, or as high as wide."""


def check_mask_kind(kind: str) -> None:
    """Refuse a name that is no kind of mask with a ``ValueError``."""
    if kind not in MASK_KINDS:
        raise ValueError(f"what is new must be one of {', '.join(MASK_KINDS)}, got {kind!r}")


def outpaint_mask(
    growth: Growth, ratio: float, height: int, width: int, multiple: int = VAE_FACTOR
) -> Float[Tensor, "1 {height} {width}"]:
    """The mask of one window: 1 on the side or in the corner that grows, 0 on the known rest.

    Args, rounding and errors are those of `growth_px`, for each side of a corner.
    """
    mask = torch.ones(1, height, width)
    for direction in growth.split("+"):
        known = known_box(cast(Direction, direction), ratio, height, width, multiple)
        mask[:, known.y0 : known.y1, known.x0 : known.x1] = 0.0
    return mask


def box_mask(new: Box, height: int, width: int) -> Float[Tensor, "1 {height} {width}"]:
    """The mask of a window of which any box is to be generated, given in window coordinates."""
    mask = torch.zeros(1, height, width)
    mask[:, new.y0 : new.y1, new.x0 : new.x1] = 1.0
    return mask


def window_mask(
    kind: MaskKind, ratio: float, height: int, width: int, place: int = 0, multiple: int = VAE_FACTOR
) -> Float[Tensor, "1 {height} {width}"]:
    """The mask of one window: 1 where it is new, 0 on the known rest.

    Args:
        kind: which part is new.
        ratio: share of the window's side that is new, in (0, 1); nothing to ``all``.
        height: window height in pixels, a multiple of ``multiple``.
        width: window width in pixels, a multiple of ``multiple``.
        place: seed of where a hole lies and how it is stretched; sides and corners have one place.
        multiple: pixels per latent cell.

    Raises:
        ValueError: see `growth_px`; or the kind is unknown.
    """
    check_mask_kind(kind)
    if kind in GROWTHS:
        return outpaint_mask(kind, ratio, height, width, multiple)  # type: ignore[arg-type]
    if kind == "all":
        return torch.ones(1, height, width)
    rng = np.random.default_rng(place)
    rows, columns = height // multiple, width // multiple
    across = growth_px("right", ratio, height, width, multiple) // multiple
    down = growth_px("down", ratio, height, width, multiple) // multiple
    if kind == "gap":
        # Known on both sides: a side that grows has a kind of its own.
        across, down = min(across, columns - 2), rows
    else:
        stretch = STRETCH ** rng.uniform(-0.5, 0.5)
        across = int(np.clip(round(across * stretch), 1, columns - 1))
        down = int(np.clip(round(down / stretch), 1, rows - 1))
    margin = 1 if kind == "gap" else 0
    x0 = int(rng.integers(margin, columns - across - margin + 1))
    y0 = int(rng.integers(0, rows - down + 1))
    x, y = np.arange(columns) + 0.5 - x0, np.arange(rows) + 0.5 - y0
    inside = ((x > 0) & (x < across))[None] & ((y > 0) & (y < down))[:, None]
    if kind == "shape":
        inside &= (2 * x / across - 1)[None] ** 2 + (2 * y / down - 1)[:, None] ** 2 <= 1
    cells = torch.from_numpy(inside.astype(np.float32))
    return cells.repeat_interleave(multiple, dim=0).repeat_interleave(multiple, dim=1)[None]
