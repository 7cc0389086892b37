"""Seam treatment of windows whose new part meets known pixels on more than one side.

A strip has one joint. The corner of a rectangle has two, at a right angle; the window that closes a ring has two that
face each other. Each joint is treated by itself, and the results are mixed by how near a pixel lies to each.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from lit_outpaint.canvas.compositing import composite
from lit_outpaint.canvas.geometry import DIRECTIONS, Box, Direction
from lit_outpaint.canvas.masks import box_mask
from lit_outpaint.canvas.seams import SeamTreatment, treat_seam


def treat_joints(
    generated: UInt8[ndarray, "h w 3"],
    known: UInt8[ndarray, "h w 3"],
    new: Box,
    treatment: SeamTreatment,
    reach_px: int,
) -> UInt8[ndarray, "h w 3"]:
    """Correct the new part of a decoded window; see `lit_outpaint.canvas.seams.treat_seam`.

    Args:
        generated: the decoded window.
        known: the window as it stands on the canvas; its new part is not read.
        new: the new part in window coordinates; each of its sides inside the window is a joint.
        treatment: which correction.
        reach_px: see `treat_seam`.
    """
    height, width = generated.shape[:2]
    part = np.s_[new.y0 : new.y1, new.x0 : new.x1]
    mixed = np.zeros((new.height, new.width, 3), np.float32)
    weights = np.zeros((new.height, new.width, 1), np.float32)
    for direction in DIRECTIONS:
        across = _across(new, direction, height, width)
        depth = new.width if direction in ("left", "right") else new.height
        if across.area == new.area:
            continue  # Nothing is known on that side.
        cut = np.s_[across.y0 : across.y1, across.x0 : across.x1]
        treated = generated.copy()
        treated[cut] = treat_seam(generated[cut], known[cut], direction, depth, treatment, reach_px)
        nearness = 1.0 / _lines_from_joint(direction, depth)
        mixed += nearness * treated[part]
        weights += nearness
    result = generated.copy()
    result[part] = np.rint(mixed / weights).astype(np.uint8)
    return result


def paste(
    generated: UInt8[ndarray, "h w 3"],
    known: UInt8[ndarray, "h w 3"],
    new: Box,
    treatment: SeamTreatment,
    reach_px: int,
) -> UInt8[ndarray, "h w 3"]:
    """The window as it is to stand on the canvas: the new part after `treat_joints`, the known one bit for bit."""
    treated = treat_joints(generated, known, new, treatment, reach_px)
    return composite(known, treated, box_mask(new, *known.shape[:2]))


def _across(new: Box, direction: Direction, height: int, width: int) -> Box:
    """The new part and the known pixels before it, over the width of the new part."""
    if direction == "right":
        return Box(0, new.y0, new.x1, new.y1)
    if direction == "left":
        return Box(new.x0, new.y0, width, new.y1)
    if direction == "down":
        return Box(new.x0, 0, new.x1, new.y1)
    return Box(new.x0, new.y0, new.x1, height)


def _lines_from_joint(direction: Direction, depth: int) -> Float[ndarray, "_ _ 1"]:
    """1 on the line next to the joint, 2 on the next; broadcasts over the new part."""
    lines = np.arange(1, depth + 1, dtype=np.float32)
    lines = lines[::-1] if direction in ("left", "up") else lines
    return lines[None, :, None] if direction in ("left", "right") else lines[:, None, None]
