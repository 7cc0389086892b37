"""Seam score: how much a joint between two generated pieces stands out."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Axis = Literal["x", "y"]


def seam_score(images: Float[Tensor, "b c h w"], joint: int, axis: Axis = "x") -> Float[Tensor, " b"]:
    """Mean gradient jump across the joint over the mean jump between all other neighbouring lines.

    The jump between two neighbouring columns (rows for ``axis="y"``) is the mean absolute difference of their pixels
    over all channels. A score of 1 says that the joint looks like any other place of the image; images without any
    contrast at all score 1 too.

    Args:
        images: windows that hold the joint, in any range (the score has no unit).
        joint: index of the first column (row) after the joint.
        axis: ``"x"`` when the pieces lie side by side, ``"y"`` when one is above the other.

    Returns:
        One score per image, at least 0.

    Raises:
        ValueError: the joint does not lie inside the image, or nothing lies elsewhere.

    Source: the jump ratio usual in block-artefact measures; NUWA-Infinity-style panoramas have no agreed one.
    """
    lines = images if axis == "x" else images.transpose(-1, -2)
    width = lines.shape[-1]
    if not 0 < joint < width or width < 3:
        raise ValueError(f"joint must lie inside an image of at least 3 lines, got joint {joint} of {width} lines")
    jumps = (lines[..., 1:] - lines[..., :-1]).abs().mean(dim=(1, 2))
    at_joint = jumps[:, joint - 1]
    elsewhere = (jumps.sum(dim=1) - at_joint) / (width - 2)
    # A joint in a picture that is flat elsewhere is infinitely visible; a picture flat everywhere has no seam.
    return torch.where((at_joint == 0) & (elsewhere == 0), torch.ones_like(at_joint), at_joint / elsewhere)
