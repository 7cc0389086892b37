import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lit_outpaint.canvas.export.pyramid import Pyramid, halve
from lit_outpaint.canvas.store import Canvas


def _levels(pyramid: Pyramid) -> list[np.ndarray]:
    """The levels put together from their tiles."""
    levels = [np.full((height, width, pyramid.channels), 77, np.uint8) for width, height in pyramid.sizes]
    seen = set()

    def write(level: int, column: int, row: int, pixels: np.ndarray) -> None:
        assert (level, column, row) not in seen
        seen.add((level, column, row))
        y, x = row * pyramid.tile_px, column * pyramid.tile_px
        levels[level][y : y + len(pixels), x : x + pixels.shape[1]] = pixels

    pyramid.walk(write)
    assert len(seen) == sum(columns * rows for columns, rows in map(pyramid.grid, range(len(levels))))
    return levels


@pytest.mark.parametrize(("tile_px", "smallest_px"), [(32, 32), (64, 1), (4096, 256)])
def test_the_tiles_make_the_picture_and_each_level_is_half_the_one_before(
    cross: Canvas, tile_px: int, smallest_px: int
) -> None:
    pyramid = Pyramid(cross, tile_px, smallest_px)
    levels = _levels(pyramid)
    np.testing.assert_array_equal(levels[0], cross.read_with_alpha(cross.box))
    for fine, coarse in pairwise(levels):
        np.testing.assert_array_equal(halve(fine), coarse)
    assert max(levels[-1].shape[:2]) <= smallest_px < max(levels[-2].shape[:2])


def test_halving_is_the_mean_of_four() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    expected = pixels.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(halve(pixels) - expected).max() <= 0.5


def test_an_odd_last_line_counts_twice() -> None:
    assert halve(np.array([[[10], [20], [30]]], np.uint8).repeat(3, axis=2))[..., 0].tolist() == [[15, 30]]


def test_unknown_pixels_do_not_darken_their_neighbours() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = 200, 100, 50, 255
    assert halve(pixels)[0, 0].tolist() == [200, 100, 50, 64]


def test_memory_grows_neither_with_width_nor_with_height(tmp_path: Path) -> None:
    peaks = []
    for height, width in ((2100, 2100), (6300, 2100), (2100, 6300)):
        directory = tmp_path / f"{height}x{width}"
        directory.mkdir()
        canvas = Canvas.create(directory, np.ones((height, width, 3), np.uint8), chunk_px=256)
        tracemalloc.start()
        Pyramid(canvas).walk(lambda *_: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1.2 * peaks[0], peaks
