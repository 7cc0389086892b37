import numpy as np
import pytest
import torch

from lit_outpaint.canvas.compositing import composite, crop, to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import DIRECTIONS, Box, Direction, known_box
from lit_outpaint.canvas.masks import outpaint_mask


def _noise(seed: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_every_level_survives_the_way_to_the_model_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    pixel_values = to_pixel_values(levels)
    assert pixel_values.min() == -1
    assert pixel_values.max() == 1
    np.testing.assert_array_equal(to_uint8(pixel_values), levels)


def test_values_outside_the_range_are_clipped() -> None:
    assert to_uint8(torch.full((1, 3, 1, 1), 7.0)).max() == 255
    assert to_uint8(torch.full((1, 3, 1, 1), -7.0)).max() == 0


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_known_pixels_survive_compositing_bit_for_bit(direction: Direction) -> None:
    known, generated, mask = _noise(1), _noise(2), outpaint_mask(direction, 0.25, 32, 32)
    composed = composite(known, generated, mask)
    kept = known_box(direction, 0.25, 32, 32)
    np.testing.assert_array_equal(crop(composed, Box(0, 0, 32, 32), kept), crop(known, Box(0, 0, 32, 32), kept))
    assert (composed != known).any()


def test_a_crop_is_named_in_canvas_coordinates() -> None:
    window = _noise(5)
    part = crop(window, Box(-40, -8, -8, 24), Box(-40, 0, -30, 4))
    np.testing.assert_array_equal(part, window[8:12, 0:10])
