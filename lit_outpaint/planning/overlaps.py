"""Boxes that overlap, resolved by one rule: a later one keeps the largest rectangle that earlier ones leave of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lit_outpaint.planning.boxes import EDGE_TOLERANCE, WHOLE, RegionBox

MIN_LEFT: Final = 0.2
"""A box of which less than this share of its area is left has lost its place."""
_MAX_FREE: Final = 4096


def largest_free(taken: Sequence[RegionBox], frame: RegionBox = WHOLE) -> RegionBox | None:
    """The largest rectangle of ``frame`` that meets none of ``taken``; the upper left one among equals.

    None when nothing is left.
    """
    free = [frame]
    for box in taken:
        free = _without_inner([part for rectangle in free for part in _around(rectangle, box)])[:_MAX_FREE]
    return min(free, key=lambda box: (-round(box.area, 9), box.y0, box.x0), default=None)


def resolved(boxes: Sequence[RegionBox], taken: Sequence[RegionBox] = ()) -> list[RegionBox | None]:
    """The boxes without overlaps, in their order; None for one of which less than `MIN_LEFT` is left.

    Args:
        boxes: an earlier one goes before a later one.
        taken: boxes that go before all of them.
    """
    kept, results = list(taken), []
    for box in boxes:
        left = largest_free([other for other in kept if other.intersection(box)], box)
        if left is not None and left.area < MIN_LEFT * box.area:
            left = None
        results.append(left)
        kept += [left] if left is not None else []
    return results


def _around(rectangle: RegionBox, box: RegionBox) -> list[RegionBox]:
    """The maximal rectangles of one box outside another."""
    if rectangle.intersection(box) is None:
        return [rectangle]
    x0, y0, x1, y1 = rectangle.as_tuple()
    parts = [
        RegionBox(x0, y0, box.x0, y1),
        RegionBox(box.x1, y0, x1, y1),
        RegionBox(x0, y0, x1, box.y0),
        RegionBox(x0, box.y1, x1, y1),
    ]
    return [part for part in parts if part.width > EDGE_TOLERANCE and part.height > EDGE_TOLERANCE]


def _without_inner(rectangles: Sequence[RegionBox]) -> list[RegionBox]:
    """Those that lie in no other one, largest first."""
    kept: list[RegionBox] = []
    for box in sorted(set(rectangles), key=lambda box: (-box.area, box.as_tuple())):
        inside = any(o.x0 <= box.x0 and o.y0 <= box.y0 and box.x1 <= o.x1 and box.y1 <= o.y1 for o in kept)
        kept += [] if inside else [box]
    return kept
