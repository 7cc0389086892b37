"""Boxes and directions of a canvas that grows: the one place that says which side is new.

Coordinates are whole pixels of the canvas: x to the right, y down, (0, 0) at the top left corner of the first image.
They go negative when the canvas grows left or up. Boxes are half-open. A ``Direction`` names the side that *grows*, and
a mask is 1 where pixels are to be generated and 0 where they are known - in training, inference, files and documents
alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Direction = Literal["left", "right", "up", "down"]
"""The side of the picture that grows."""

Corner = Literal["up+left", "up+right", "down+left", "down+right"]
"""A corner that is new between two known sides, as in a rectangle that is filled row by row; its first side names the
known part that the step continues."""

Growth = Direction | Corner
"""What may be new in a window that a model learns from."""

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
GROWTHS: tuple[Growth, ...] = (*DIRECTIONS, *get_args(Corner))
VAE_FACTOR = 8
"""Pixels per latent cell; a mask edge inside a cell would leak known pixels into generated ones."""


@dataclass(frozen=True)
class Box:
    """A half-open rectangle of pixels, ``x0 <= x < x1`` and ``y0 <= y < y1``; coordinates may be negative."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"a box needs x0 < x1 and y0 < y1, got ({self.x0}, {self.y0}, {self.x1}, {self.y1})")

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def shift(self, dx: int, dy: int) -> Box:
        """Return the box moved by ``dx`` to the right and ``dy`` down."""
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def intersection(self, other: Box) -> Box | None:
        """Return the common part, None when the boxes share no pixel."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def union(self, other: Box) -> Box:
        """Return the smallest box that holds both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def contains(self, other: Box) -> bool:
        """Tell whether ``other`` lies wholly inside."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1

    def as_tuple(self) -> tuple[int, int, int, int]:
        """Return ``(x0, y0, x1, y1)``."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True)
class Heading:
    """A direction as numbers, so that what is done for one side is done for all four."""

    axis: Literal[0, 1]
    """0 grows along x, 1 along y."""
    sign: Literal[-1, 1]
    """1 grows towards larger coordinates."""

    def outer(self, box: Box) -> int:
        """Where a box ends on the side that grows."""
        return box.as_tuple()[self.axis + (2 if self.sign > 0 else 0)]

    def inner(self, box: Box) -> int:
        """Where a box ends on the opposite side."""
        return box.as_tuple()[self.axis + (0 if self.sign > 0 else 2)]

    def length(self, box: Box) -> int:
        """Length of a box along the axis."""
        return box.height if self.axis else box.width

    def between(self, box: Box, one: int, other: int) -> Box:
        """A box with these two ends along the axis, in whichever order they are given."""
        edges = list(box.as_tuple())
        edges[self.axis], edges[self.axis + 2] = sorted((one, other))
        return Box(*edges)


HEADINGS: Final[dict[Direction, Heading]] = {
    "left": Heading(0, -1),
    "right": Heading(0, 1),
    "up": Heading(1, -1),
    "down": Heading(1, 1),
}


def growth_px(direction: Direction, ratio: float, height: int, width: int, multiple: int = VAE_FACTOR) -> int:
    """Pixels of a window that are new along the growing axis: ``ratio`` of the side, rounded to ``multiple``.

    Args:
        direction: the side that grows.
        ratio: share of the window to generate, in (0, 1).
        height: window height in pixels, a multiple of ``multiple``.
        width: window width in pixels, a multiple of ``multiple``.
        multiple: pixels per latent cell.

    Returns:
        A multiple of ``multiple`` that leaves at least one cell new and one known.

    Raises:
        ValueError: unknown direction, ratio outside (0, 1), or a side that is no multiple.
    """
    check_direction(direction)
    if not 0.0 < ratio < 1.0:
        raise ValueError(f"the mask ratio must lie between 0 and 1, both excluded, got {ratio}; 0.5 is usual")
    side = HEADINGS[direction].length(Box(0, 0, width, height))
    if side % multiple or side < 2 * multiple:
        raise ValueError(f"a window side must be a multiple of {multiple} and at least {2 * multiple}, got {side}")
    cells = side // multiple
    return multiple * min(max(round(ratio * cells), 1), cells - 1)


def known_box(direction: Direction, ratio: float, height: int, width: int, multiple: int = VAE_FACTOR) -> Box:
    """The part of a window that is known, in window coordinates; see `growth_px` for arguments and errors."""
    new, heading = growth_px(direction, ratio, height, width, multiple), HEADINGS[direction]
    window = Box(0, 0, width, height)
    return heading.between(window, heading.inner(window), heading.outer(window) - heading.sign * new)


def new_box(direction: Direction, stride_px: int, window_px: int) -> Box:
    """The new strip of a square window that grows on one side, in window coordinates."""
    known, heading = known_box(direction, stride_px / window_px, window_px, window_px), HEADINGS[direction]
    window = Box(0, 0, window_px, window_px)
    return heading.between(window, heading.outer(known), heading.outer(window))


def anchor_window(image_box: Box, window_px: int) -> Box:
    """The window in the middle of the first image: its rows grow left and right, its columns grow up and down.

    Raises:
        ValueError: the image is smaller than the window.
    """
    if image_box.width < window_px or image_box.height < window_px:
        raise ValueError(
            f"the image must be at least one window, {window_px} x {window_px} px, got {image_box.width} x "
            f"{image_box.height}; give a larger image"
        )
    x0 = image_box.x0 + (image_box.width - window_px) // 2
    y0 = image_box.y0 + (image_box.height - window_px) // 2
    return Box(x0, y0, x0 + window_px, y0 + window_px)


def next_window(
    canvas_box: Box, direction: Direction, window_px: int, stride_px: int, anchor: Box | None = None
) -> tuple[Box, Box]:
    """The window that grows the canvas by one stride, and the strip of it that is new.

    Growth follows a cross: left and right act on the rows of the anchor, up and down on its columns, so every window
    has known pixels on its whole inner side.

    Args:
        canvas_box: bounding box of what the canvas holds.
        direction: the side that grows.
        window_px: side of the square window.
        stride_px: new pixels per step; the overlap is ``window_px - stride_px``.
        anchor: the window of `anchor_window`; taken from ``canvas_box`` when that is still the first image.

    Raises:
        ValueError: unknown direction, or a stride outside ``[1, window_px - 1]``.
    """
    check_direction(direction)
    if not 0 < stride_px < window_px:
        raise ValueError(f"the stride must lie between 1 and {window_px - 1} px, got {stride_px}")
    row = anchor or anchor_window(canvas_box, window_px)
    heading = HEADINGS[direction]
    edge = heading.outer(canvas_box)
    back, ahead = edge - heading.sign * (window_px - stride_px), edge + heading.sign * stride_px
    return heading.between(row, back, ahead), heading.between(row, edge, ahead)


def check_direction(direction: str) -> None:
    """Refuse a name that is no direction with a ``ValueError``."""
    if direction not in DIRECTIONS:
        raise ValueError(f"a direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
