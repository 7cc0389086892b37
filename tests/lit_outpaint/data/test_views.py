import pytest
import torch

from lit_outpaint.canvas.geometry import DIRECTIONS, Direction, known_box, outpaint_mask
from lit_outpaint.data.views import blank_masked, visible_box, visible_crop


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
