"""The canvas at full size, half size, quarter size ...: tiles made depth first, so memory holds a few of them.

A tile needs its four children one level below and nothing else. Visiting children before parents keeps one unfinished
path of the tree in memory, whatever the width and height of the canvas; deep zoom, TIFF and OME-Zarr all write from it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas

WriteTile = Callable[[int, int, int, ndarray], None]
"""Takes level, column, row and pixels (h, w, c) of a tile; tiles at the right and lower edge are smaller."""
_BLOCK_PX = 1024
"""Side of what is read from the canvas at once; a few tiles share its chunks."""


class Pyramid:
    """Tiles of all levels of a canvas.

    Args:
        canvas: read, not changed.
        tile_px: side of a tile, even.
        smallest_px: the pyramid ends with the first level that is no longer than this; at most ``tile_px``.

    Attributes:
        sizes: (width, height) of each level in pixels, full size first; each is half the one before, rounded up.
        channels: 4 with alpha when the bounding box holds unknown pixels, else 3.
    """

    def __init__(self, canvas: Canvas, tile_px: int = 256, smallest_px: int = 256) -> None:
        self.canvas = canvas
        self.tile_px = tile_px
        self.sizes = [(canvas.box.width, canvas.box.height)]
        while max(self.sizes[-1]) > min(smallest_px, tile_px):
            width, height = self.sizes[-1]
            self.sizes.append((-(-width // 2), -(-height // 2)))
        self.channels = 4 if canvas.has_unknown else 3
        self._block_px = max(_BLOCK_PX // tile_px, 1) * tile_px
        self._block: tuple[Box, ndarray] | None = None

    def grid(self, level: int) -> tuple[int, int]:
        """Columns and rows of tiles of a level."""
        width, height = self.sizes[level]
        return -(-width // self.tile_px), -(-height // self.tile_px)

    def walk(self, write: WriteTile) -> None:
        """Make every tile once, children before parents."""
        self._tile(len(self.sizes) - 1, 0, 0, write)
        self._block = None

    def _tile(self, level: int, column: int, row: int, write: WriteTile) -> UInt8[ndarray, "h w c"]:
        if level == 0:
            pixels = self._read(column, row)
        else:
            columns, rows = self.grid(level - 1)
            below = [
                [
                    halve(self._tile(level - 1, x, y, write))
                    for x in range(2 * column, min(2 * column + 2, columns))  # Left to right, then the row below.
                ]
                for y in range(2 * row, min(2 * row + 2, rows))
            ]
            pixels = np.concatenate([np.concatenate(line, axis=1) for line in below])
        write(level, column, row, pixels)
        return pixels

    def _read(self, column: int, row: int) -> UInt8[ndarray, "h w c"]:
        tile = self._box(column, row, self.tile_px)
        if self._block is None or not self._block[0].contains(tile):
            tiles = self._block_px // self.tile_px
            box = self._box(column // tiles, row // tiles, self._block_px)
            self._block = None  # Let go of it before the next is read.
            self._block = box, self.canvas.read_with_alpha(box) if self.channels == 4 else self.canvas.read(box)
        box, pixels = self._block
        inner = tile.shift(-box.x0, -box.y0)
        return pixels[inner.y0 : inner.y1, inner.x0 : inner.x1]

    def _box(self, column: int, row: int, side: int) -> Box:
        whole = self.canvas.box
        x0, y0 = whole.x0 + column * side, whole.y0 + row * side
        return Box(x0, y0, min(x0 + side, whole.x1), min(y0 + side, whole.y1))


def halve(pixels: UInt8[ndarray, "h w c"]) -> UInt8[ndarray, "_ _ c"]:
    """Mean of each 2 x 2 pixels, rounded; an odd last line counts twice.

    With four channels the last is alpha, and colours are weighted by it, so that unknown pixels darken nothing.
    """
    height, width, channels = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if channels < 4:
        return ((_sum_2x2(even.astype(np.uint16)) + 2) // 4).astype(np.uint8)
    even = even.astype(np.uint32)
    colour, weight = _sum_2x2(even[..., :3] * even[..., 3:]), _sum_2x2(even[..., 3:])
    mean = (colour + weight // 2) // np.maximum(weight, 1)
    return np.concatenate([mean, (weight + 2) // 4], axis=2).astype(np.uint8)


def _sum_2x2(values: ndarray) -> ndarray:
    return values[0::2, 0::2] + values[1::2, 0::2] + values[0::2, 1::2] + values[1::2, 1::2]
