"""Seam score: how much a seam between two generated pieces stands out."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Axis = Literal["x", "y"]


def seam_score(images: Float[Tensor, "b c h w"], seam: int, axis: Axis = "x") -> Float[Tensor, " b"]:
    """Mean gradient jump across the seam over the mean jump between all other neighbouring lines.

    The jump between two neighbouring columns (rows for ``axis="y"``) is the mean absolute difference of their pixels
    over all channels. A score of 1 says that the seam looks like any other place of the image; images without any
    contrast at all score 1 too.

    Args:
        images: windows that hold the seam, in any range (the score has no unit).
        seam: index of the first column (row) after the seam.
        axis: ``"x"`` when the pieces lie side by side, ``"y"`` when one is above the other.

    Returns:
        One score per image, at least 0.

    Raises:
        ValueError: the seam does not lie inside the image, or nothing lies elsewhere.

    Source: the jump ratio usual in block-artefact measures; NUWA-Infinity-style panoramas have no agreed one.
    """
    lines = images if axis == "x" else images.transpose(-1, -2)
    width = lines.shape[-1]
    if not 0 < seam < width or width < 3:
        raise ValueError(f"seam must lie inside an image of at least 3 lines, got seam {seam} of {width} lines")
    jumps = (lines[..., 1:] - lines[..., :-1]).abs().mean(dim=(1, 2))
    at_seam = jumps[:, seam - 1]
    elsewhere = (jumps.sum(dim=1) - at_seam) / (width - 2)
    # A seam in a picture that is flat elsewhere is infinitely visible; a picture flat everywhere has no seam.
    return torch.where((at_seam == 0) & (elsewhere == 0), torch.ones_like(at_seam), at_seam / elsewhere)
