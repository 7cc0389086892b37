"""Boxes of regions: in shares of a picture or in canvas pixels, and their cells on a map of features.

x runs to the right, y down; boxes are half-open. In shares, a picture is ``[0, 1] x [0, 1]``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

EDGE_TOLERANCE: Final = 1e-9
"""Edges that differ by less are the same edge: shares such as 1/3 are not exact in floating point."""
_CELL_TOLERANCE: Final = 1e-9
"""The same, in positions of a map."""


@runtime_checkable
class Bounds(Protocol):
    """Anything with four edges: a `RegionBox`, or a ``Box`` of ``lit_outpaint.canvas.geometry``."""

    @property
    def x0(self) -> float:
        """Left edge."""
        ...

    @property
    def y0(self) -> float:
        """Upper edge."""
        ...

    @property
    def x1(self) -> float:
        """Right edge, excluded."""
        ...

    @property
    def y1(self) -> float:
        """Lower edge, excluded."""
        ...


class Cell(NamedTuple):
    """A rectangle of whole positions on a map, half-open; empty where the map is too coarse for its box."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def area(self) -> int:
        """Number of positions."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@dataclass(frozen=True)
class RegionBox:
    """A rectangle with real-valued edges."""

    x0: float | int
    y0: float | int
    x1: float | int
    y1: float | int

    def __post_init__(self) -> None:
        for name in ("x0", "y0", "x1", "y1"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @classmethod
    def of(cls, bounds: Bounds) -> RegionBox:
        """The box with the same edges."""
        return cls(bounds.x0, bounds.y0, bounds.x1, bounds.y1)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """The edges, ``(x0, y0, x1, y1)``."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def width(self) -> float:
        """Width, in the unit of the edges."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height, in the unit of the edges."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Area, in the square of that unit."""
        return self.width * self.height

    def shift(self, dx: float | int, dy: float | int = 0) -> RegionBox:
        """The box moved by ``dx`` to the right and ``dy`` down."""
        return RegionBox(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def intersection(self, other: Bounds) -> RegionBox | None:
        """The common part; None when they share no more than an edge."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        if x1 - x0 <= EDGE_TOLERANCE or y1 - y0 <= EDGE_TOLERANCE:
            return None
        return RegionBox(x0, y0, x1, y1)

    def relative_to(self, frame: Bounds) -> RegionBox:
        """The box in shares of ``frame``."""
        width, height = frame.x1 - frame.x0, frame.y1 - frame.y0
        return RegionBox(
            (self.x0 - frame.x0) / width,
            (self.y0 - frame.y0) / height,
            (self.x1 - frame.x0) / width,
            (self.y1 - frame.y0) / height,
        )

    def within(self, frame: Bounds) -> RegionBox:
        """The box, given in shares, in the unit of ``frame``: the inverse of `relative_to`."""
        width, height = frame.x1 - frame.x0, frame.y1 - frame.y0
        return RegionBox(
            frame.x0 + self.x0 * width,
            frame.y0 + self.y0 * height,
            frame.x0 + self.x1 * width,
            frame.y0 + self.y1 * height,
        )

    def cell(self, height: int, width: int) -> Cell:
        """The positions of the box, given in shares, on a map of ``height`` x ``width``.

        Edges are rounded down, so boxes that share an edge give cells that share it, and boxes that tile the picture
        give cells that tile the map.
        """
        return Cell(_edge(self.x0, width), _edge(self.y0, height), _edge(self.x1, width), _edge(self.y1, height))


WHOLE: Final = RegionBox(0.0, 0.0, 1.0, 1.0)
"""The whole picture, in shares."""


def _edge(share: float, side: int) -> int:
    return min(max(math.floor(share * side + _CELL_TOLERANCE), 0), side)
