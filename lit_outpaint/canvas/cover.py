"""Which boxes hold known pixels: an index in space that answers in constant time however large the canvas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lit_outpaint.canvas.geometry import Box


class Cover:
    """Boxes that share no pixel, numbered in the order they came; the first image is box -1.

    Args:
        image_box: the first image.
        cell_px: side of the cells of the index, about that of the boxes.
    """

    def __init__(self, image_box: Box, cell_px: int) -> None:
        self.image_box, self.cell_px = image_box, cell_px
        self.box, self.area_px = image_box, image_box.area
        self._boxes: list[Box] = []
        self._cells: dict[tuple[int, int], list[int]] = {}

    def __len__(self) -> int:
        return len(self._boxes)

    def add(self, box: Box) -> None:
        """Take in a box that shares no pixel with those here."""
        for cell in self._cells_of(box):
            self._cells.setdefault(cell, []).append(len(self._boxes))
        self._boxes.append(box)
        self.box, self.area_px = self.box.union(box), self.area_px + box.area

    def meeting(self, box: Box) -> dict[int, Box]:
        """The boxes that share pixels with ``box``, by number: their parts inside it."""
        candidates = sorted({number for cell in self._cells_of(box) for number in self._cells.get(cell, ())})
        parts = {-1: self.image_box.intersection(box)}
        parts |= {number: self._boxes[number].intersection(box) for number in candidates}
        return {number: part for number, part in parts.items() if part is not None}

    def covers(self, box: Box) -> bool:
        """Whether every pixel of ``box`` is known."""
        return sum(part.area for part in self.meeting(box).values()) == box.area

    @property
    def is_rectangle(self) -> bool:
        """Whether the known pixels fill their bounding box."""
        return self.area_px == self.box.area

    def missing(self, box: Box) -> Box | None:
        """The part of ``box`` that is not known, None when it is no single rectangle or when nothing is missing."""
        known = np.zeros((box.height, box.width), bool)
        for part in self.meeting(box).values():
            inner = part.shift(-box.x0, -box.y0)
            known[inner.y0 : inner.y1, inner.x0 : inner.x1] = True
        ys, xs = np.nonzero(~known)
        if not len(ys):
            return None
        hull = Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
        return hull.shift(box.x0, box.y0) if hull.area == len(ys) else None

    def _cells_of(self, box: Box) -> Iterator[tuple[int, int]]:
        side = self.cell_px
        for cy in range(box.y0 // side, -(-box.y1 // side)):
            for cx in range(box.x0 // side, -(-box.x1 // side)):
                yield cx, cy
