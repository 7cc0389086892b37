"""Border score: how much the two sides of a seam differ over the width of a small square, where a person looks.

A seam may be smooth from line to line (`eval.functional.seam`) and yet part two surfaces: a sky a shade darker, a
ground that is blurred on one side. So squares are compared instead of lines, in mean colour and in texture.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from eval.functional.seam import Axis

SQUARES_PX = (8, 16)
"""Sides of the squares."""

FLAT = 1e-6
"""Differences up to this are rounding; a seam in a picture that is flat elsewhere is very visible, not infinitely."""


class BorderScores(NamedTuple):
    """Per picture, at least 0; 1 says that the seam looks like any other place."""

    colour: Float[Tensor, " b"]
    """By the difference of mean colour."""
    texture: Float[Tensor, " b"]
    """By the difference of texture energy, the deviation within a square."""


def border_scores(
    images: Float[Tensor, "b c h w"], seam: int, axis: Axis = "x", squares_px: tuple[int, ...] = SQUARES_PX
) -> BorderScores:
    """Difference of the squares on both sides of the seam over that of neighbouring squares at places without a seam.

    Squares of one size lie in pairs along the seam, touching it from both sides; the difference of a pair is the mean
    over channels, the difference at a place the mean over its pairs. Places are all lines whose squares lie in the
    picture and do not reach over the seam. Scores are averaged over the sizes. Pictures that are flat score 1.

    Args:
        images: windows that hold the seam, in any range (the scores have no unit).
        seam: index of the first column (row) after the seam.
        axis: ``"x"`` when the pieces lie side by side, ``"y"`` when one is above the other.
        squares_px: sides of the squares.

    Raises:
        ValueError: squares do not fit beside the seam, or leave no other place.
    """
    lines = images if axis == "x" else images.transpose(-1, -2)
    height, width = lines.shape[-2:]
    if height < max(squares_px) or not squares_fit(seam, width, squares_px):
        raise ValueError(
            f"squares of {max(squares_px)} px must fit on both sides of the seam and once more beside them, "
            f"got seam {seam} of {width} x {height} px"
        )
    scores = [_scores(lines, seam, side) for side in squares_px]
    return BorderScores(*(torch.stack(parts).mean(dim=0) for parts in zip(*scores, strict=True)))


def squares_fit(seam: int, width: int, squares_px: tuple[int, ...] = SQUARES_PX) -> bool:
    """Whether squares of all sizes lie on both sides of the seam and leave another place to compare with."""
    side = max(squares_px)
    return side <= seam <= width - side and max(seam, width - seam) >= 2 * side


def _scores(lines: Float[Tensor, "b c h w"], seam: int, side: int) -> BorderScores:
    pixels = lines.double()
    mean = avg_pool2d(pixels, side, (side, 1))
    # Computed about the picture's mean, so that a large offset leaves no rounding behind.
    centred = pixels - pixels.mean(dim=(2, 3), keepdim=True)
    variance = avg_pool2d(centred.square(), side, (side, 1)) - avg_pool2d(centred, side, (side, 1)).square()
    return BorderScores(
        *(_standing_out(values, seam, side).to(lines.dtype) for values in (mean, variance.clamp_min(0).sqrt()))
    )


def _standing_out(values: Float[Tensor, "b c rows places"], seam: int, side: int) -> Float[Tensor, " b"]:
    """The difference at the seam over the mean difference elsewhere."""
    jumps = (values[..., side:] - values[..., :-side]).abs().mean(dim=(1, 2))
    places = torch.arange(side, side + jumps.shape[1], device=jumps.device)
    at_seam = jumps[:, seam - side]
    elsewhere = jumps[:, (places - seam).abs() >= side].mean(dim=1)
    flat = (at_seam <= FLAT) & (elsewhere <= FLAT)
    return torch.where(flat, torch.ones_like(at_seam), at_seam / elsewhere.clamp_min(FLAT))
