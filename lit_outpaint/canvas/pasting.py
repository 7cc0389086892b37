"""Seam treatment of windows whose new part meets known pixels on more than one side.

A strip has one seam. The corner of a rectangle has two, at a right angle; the window that closes a ring has two that
face each other. Each seam is treated by itself, and the results are mixed by how near a pixel lies to each.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from lit_outpaint.canvas.compositing import composite
from lit_outpaint.canvas.geometry import HEADINGS, Box, Heading
from lit_outpaint.canvas.masks import box_mask
from lit_outpaint.canvas.seams import SeamTreatment, treat_seam


def treat_seams(
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
        new: the new part in window coordinates; each of its sides inside the window is a seam.
        treatment: which correction.
        reach_px: see `treat_seam`.
    """
    height, width = generated.shape[:2]
    window = Box(0, 0, width, height)
    part = np.s_[new.y0 : new.y1, new.x0 : new.x1]
    mixed = np.zeros((new.height, new.width, 3), np.float32)
    weights = np.zeros((new.height, new.width, 1), np.float32)
    for direction, heading in HEADINGS.items():
        # The new part and the known pixels before it, over the width of the new part.
        across = heading.between(new, heading.inner(window), heading.outer(new))
        depth = heading.length(new)
        if across.area == new.area:
            continue  # Nothing is known on that side.
        cut = np.s_[across.y0 : across.y1, across.x0 : across.x1]
        treated = generated.copy()
        treated[cut] = treat_seam(generated[cut], known[cut], direction, depth, treatment, reach_px)
        nearness = 1.0 / _lines_from_seam(heading, depth)
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
    """The window as it is to stand on the canvas: the new part after `treat_seams`, the known one bit for bit.

    Unless ``treatment`` is ``none``, the corners of the decoded window are mended first (`mended_corners`).
    """
    decoded = generated if treatment == "none" else mended_corners(generated)
    treated = treat_seams(decoded, known, new, treatment, reach_px)
    return composite(known, treated, box_mask(new, *known.shape[:2]))


def mended_corners(decoded: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h w 3"]:
    """The window with each corner pixel as the mean of its two neighbours on the edges.

    A decoder sees the least around a corner, and errs there by several times what it errs elsewhere
    (docs/seams.md). A later window that has this pixel at the end of its seam would spread the error.
    """
    mended = decoded.copy()
    for row, beside_row in ((0, 1), (-1, -2)):
        for column, beside_column in ((0, 1), (-1, -2)):
            neighbours = decoded[beside_row, column].astype(np.float32) + decoded[row, beside_column]
            mended[row, column] = np.rint(neighbours / 2).astype(np.uint8)
    return mended


def _lines_from_seam(heading: Heading, depth: int) -> Float[ndarray, "_ _ 1"]:
    """1 on the line next to the seam, 2 on the next; broadcasts over the new part."""
    lines = np.arange(1, depth + 1, dtype=np.float32)[:: heading.sign]
    return lines[:, None, None] if heading.axis else lines[None, :, None]
