"""Where the windows of a plan lie: from strips, rectangles, rings and listed steps to boxes on the canvas.

Every function yields `Placed` windows in the order in which they count as steps. They may only rely on what is in the
``cover`` when they are asked for the next one; whoever asks adds each new box to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lit_outpaint.canvas.cover import Cover
from lit_outpaint.canvas.geometry import DIRECTIONS, HEADINGS, VAE_FACTOR, Box, Direction, anchor_window, next_window
from lit_outpaint.canvas.plan import Listed, Part, Rectangle, Ring, Strips


@dataclass(frozen=True)
class Tile:
    """Size of the windows."""

    window_px: int
    """Side of a window."""
    stride_px: int
    """New pixels per step along the growing axis."""

    @property
    def overlap_px(self) -> int:
        """Known pixels of a window along the growing axis."""
        return self.window_px - self.stride_px

    def window(self, x0: int, y0: int) -> Box:
        """The window whose upper left corner lies there."""
        return Box(x0, y0, x0 + self.window_px, y0 + self.window_px)


class Placed(NamedTuple):
    """A window and what is new in it."""

    direction: Direction
    window: Box
    new: Box
    caption: str = ""


def place(part: Part, cover: Cover, tile: Tile) -> Iterator[Placed]:
    """The windows of one part of a plan.

    Raises:
        ValueError: the part cannot be drawn where the canvas stands.
    """
    if isinstance(part, Strips):
        return _strips(part.direction, part.count, cover, tile)
    if isinstance(part, Rectangle):
        return _rectangle(part, cover, tile)
    if isinstance(part, Ring):
        return _ring(part, cover, tile)
    return _listed(part, cover, tile)


def at_least(part: Part, cover: Cover, tile: Tile) -> int:
    """About how many steps a part has, and never more than it has, without laying them out."""
    if isinstance(part, Rectangle):
        return (part.width * part.height - cover.area_px) // (tile.window_px * tile.stride_px)
    return part.times if isinstance(part, Listed) else part.count


def behind(direction: Direction, window: Box, new: Box, span_px: int | None = None) -> Box | None:
    """The known side of a window straight behind the seam, across the whole window; None where nothing lies behind.

    Args:
        direction: the side that grows.
        window: the window.
        new: its new pixels.
        span_px: how far back from the seam; to the window's own edge when absent.
    """
    heading = HEADINGS[direction]
    seam = heading.inner(new)
    start = heading.inner(window) if span_px is None else seam - heading.sign * span_px
    return heading.between(window, start, seam) if heading.sign * (seam - start) > 0 else None


def _strips(direction: Direction, count: int, cover: Cover, tile: Tile, caption: str = "") -> Iterator[Placed]:
    anchor = anchor_window(cover.image_box, tile.window_px)
    for _ in range(count):
        window, new = next_window(cover.box, direction, tile.window_px, tile.stride_px, anchor)
        yield Placed(direction, window, new, caption)


def _rectangle(part: Rectangle, cover: Cover, tile: Tile) -> Iterator[Placed]:
    """Columns left and right of what is there, then rows above and below: each from its middle to both ends.

    Strides lie as evenly as they can on both sides; what is less than a stride makes the last strip on the right or
    below smaller.
    """
    start = cover.box
    if not cover.is_rectangle or start.width % VAE_FACTOR or start.height % VAE_FACTOR:
        raise ValueError(
            f"{part} must start from a filled rectangle whose sides are multiples of {VAE_FACTOR} px, got "
            f"{start.width} x {start.height} px{'' if cover.is_rectangle else ' with gaps'}"
        )
    x0, x1 = _grown(start.x0, start.x1, part.width, "wide", tile)
    y0, y1 = _grown(start.y0, start.y1, part.height, "high", tile)
    if (x0, y0, x1, y1) == start.as_tuple():
        raise ValueError(f"{part} must be larger than the {start.width} x {start.height} px that are there already")
    middle_x, middle_y = (
        low + VAE_FACTOR * ((high - low - tile.window_px) // (2 * VAE_FACTOR))
        for low, high in ((start.x0, start.x1), (start.y0, start.y1))
    )
    columns: tuple[tuple[Direction, int, int], ...] = (("right", start.x1, x1), ("left", start.x0, x0))
    rows: tuple[tuple[Direction, int, int], ...] = (("up", start.y0, y0), ("down", start.y1, y1))
    for direction, edge, end in columns:
        for left, right, window_x in _outward(edge, end, tile):
            for top, bottom, window_y in _along(middle_y, start.y0, start.y1, tile):
                yield Placed(direction, tile.window(window_x, window_y), Box(left, top, right, bottom))
    for direction, edge, end in rows:
        for top, bottom, window_y in _outward(edge, end, tile):
            for left, right, window_x in _along(middle_x, x0, x1, tile):
                yield Placed(direction, tile.window(window_x, window_y), Box(left, top, right, bottom))


def _grown(low: int, high: int, wanted: int, word: str, tile: Tile) -> tuple[int, int]:
    """Both ends of an axis that is to be ``wanted`` px long."""
    present, stride = high - low, tile.stride_px
    more = wanted - present
    if more and (more < stride or more % VAE_FACTOR):
        nearest = max(VAE_FACTOR * (more // VAE_FACTOR), stride)
        sizes = [present, *(present + size for size in sorted({nearest, nearest + VAE_FACTOR}))]
        raise ValueError(
            f"the size must be what is there, {present} px {word}, or at least a stride of {stride} px more in "
            f"multiples of {VAE_FACTOR} px, got {wanted}; try {', '.join(map(str, sizes))}"
        )
    before = more // stride // 2 * stride
    return low - before, high + more - before


def _outward(edge: int, end: int, tile: Tile) -> Iterator[tuple[int, int, int]]:
    """Strips from ``edge`` out to ``end``: low, high, and where their windows begin."""
    while edge < end:
        low, edge = edge, min(edge + tile.stride_px, end)
        yield low, edge, edge - tile.window_px
    while edge > end:
        high, edge = edge, max(edge - tile.stride_px, end)
        yield edge, high, edge


def _along(middle: int, low: int, high: int, tile: Tile) -> Iterator[tuple[int, int, int]]:
    """Cut a strip from ``low`` to ``high`` into a whole window at ``middle`` and strides to both ends."""
    end = middle + tile.window_px
    yield middle, end, middle
    yield from _outward(end, high, tile)
    yield from _outward(middle, low, tile)


def _ring(part: Ring, cover: Cover, tile: Tile) -> Iterator[Placed]:
    """Steps to the right; the window of the last reaches over the end of the canvas, onto its beginning."""
    if tile.overlap_px < 2 * VAE_FACTOR:
        raise ValueError(
            f"{part} needs known pixels on both sides of its last window: overlap_px of at least {2 * VAE_FACTOR}, got "
            f"{tile.overlap_px}"
        )
    yield from _strips("right", part.count - 1, cover, tile)
    anchor = anchor_window(cover.image_box, tile.window_px)
    before = tile.overlap_px // (2 * VAE_FACTOR) * VAE_FACTOR
    edge = cover.box.x1
    yield Placed("right", tile.window(edge - before, anchor.y0), Box(edge, anchor.y0, edge + tile.stride_px, anchor.y1))


def _listed(part: Listed, cover: Cover, tile: Tile) -> Iterator[Placed]:
    if part.window is None:
        assert part.direction is not None  # `Listed` refuses neither of both.
        yield from _strips(part.direction, part.times, cover, tile, part.caption)
        return
    window = tile.window(*part.window)
    new = cover.missing(window)
    if new is None:
        what = "is known already" if cover.covers(window) else "has an unknown part that is no single rectangle"
        raise ValueError(f"the window at {list(part.window)} {what}; move it, or add steps before it")
    sides = [part.direction] if part.direction else DIRECTIONS
    grows: list[Direction] = [side for side in sides if behind(side, window, new) is not None]
    if not grows:
        raise ValueError(
            f"the window at {list(part.window)} needs known pixels on the side opposite to where it grows"
            f"{f' ({part.direction})' if part.direction else ''}, and has none there"
        )
    yield Placed(grows[0], window, new, part.caption)
