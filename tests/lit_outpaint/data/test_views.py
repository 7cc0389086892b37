from typing import cast

import pytest
import torch

from lit_outpaint.canvas.geometry import DIRECTIONS, GROWTHS, Direction, Growth, known_box
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.data.views import blank_masked, extend_visible, visible_box, visible_crop


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.7])
def test_ones_are_blanked_and_zeros_are_shown(direction: Direction, ratio: float) -> None:
    pixels = torch.rand(2, 3, 64, 64) + 0.1
    mask = outpaint_mask(direction, ratio, 64, 64)
    blanked = blank_masked(pixels, mask[None])
    generated = mask.expand(2, 3, 64, 64) == 1
    assert (blanked[generated] == 0).all()
    assert torch.equal(blanked[~generated], pixels[~generated])
    assert visible_box(mask) == known_box(direction, ratio, 64, 64).as_tuple()
    assert torch.equal(visible_crop(pixels, mask).flatten(), pixels[~generated])


def test_right_grows_on_the_right() -> None:
    mask = outpaint_mask("right", 0.5, 64, 64)
    assert mask[0, :, -1].all()
    assert not mask[0, :, 0].any()


def test_a_mask_without_kept_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        visible_box(torch.ones(1, 8, 8))


@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.7])
def test_what_the_encoder_sees_is_the_known_part_of_the_first_side_and_nothing_new(
    growth: Growth, ratio: float
) -> None:
    mask = outpaint_mask(growth, ratio, 64, 64)
    assert visible_crop(mask.expand(1, 3, 64, 64), mask).sum() == 0
    first = cast(Direction, growth.split("+")[0])
    assert visible_box(mask) == known_box(first, ratio, 64, 64).as_tuple()


def test_a_hole_is_seen_with_all_that_is_around_it() -> None:
    mask = torch.zeros(1, 32, 32)
    mask[:, 8:16, 8:16] = 1
    assert visible_box(mask) == (0, 0, 32, 32)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_kept_part_is_extended_by_its_last_line(direction: Direction) -> None:
    pixels, mask = torch.rand(2, 3, 24, 24), outpaint_mask(direction, 0.5, 24, 24)
    extended = extend_visible(pixels, mask)
    x0, y0, x1, y1 = visible_box(mask)
    rows, columns = torch.arange(24).clamp(y0, y1 - 1), torch.arange(24).clamp(x0, x1 - 1)
    assert torch.equal(extended, pixels[:, :, rows][..., columns])


def test_a_gap_is_filled_from_both_sides_and_a_corner_from_its_row() -> None:
    pixels = torch.arange(36.0).reshape(1, 1, 6, 6).expand(1, 3, 6, 6)
    gap, corner = torch.zeros(2, 1, 6, 6)
    gap[..., 1:5] = 1
    corner[:, 3:, 3:] = 1
    assert extend_visible(pixels, gap)[0, 0, 0].tolist() == [0, 0, 0, 5, 5, 5]
    filled = extend_visible(pixels, corner)[0, 0]
    assert filled[4].tolist() == [24, 25, 26, 26, 26, 26]
    assert torch.equal(filled[:3], pixels[0, 0, :3])
