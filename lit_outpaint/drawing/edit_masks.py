"""Masks of edits: which part of a picture is drawn again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lit_outpaint.drawing.edit_operations import Box, Edit, EditRules, grown


def edit_mask(
    edits: Sequence[Edit], spared: Sequence[Box], height: int, width: int, rules: EditRules = EditRules()
) -> NDArray[np.bool_]:
    """What is drawn again, ``(height, width)``: the boxes of the edits with a margin, without what stays.

    Args:
        edits: of `edits_of`.
        spared: what stays as it is.
        height: of the picture or of its map of latent cells.
        width: likewise.
        rules: say how wide the margin is.
    """
    mask = np.zeros((height, width), dtype=bool)
    for edit in edits:
        for box in edit.boxes:
            mask[_slices(grown(box, rules.margin), height, width)] = True
    for box in spared:
        mask[_slices(box, height, width)] = False
    return mask


def _slices(box: Box, height: int, width: int) -> tuple[slice, slice]:
    """All positions that a box touches."""
    left, top, right, bottom = box
    return (
        slice(int(top * height), int(np.ceil(bottom * height))),
        slice(int(left * width), int(np.ceil(right * width))),
    )
