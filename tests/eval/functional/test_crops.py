import pytest
import torch

from eval.functional.crops import Place, crop_grid, cut


def test_whole_crops_row_by_row() -> None:
    assert crop_grid(4, 11, 4, 3) == [Place(0, 0), Place(0, 3), Place(0, 6)]
    assert crop_grid(6, 4, 4, 2) == [Place(0, 0), Place(2, 0)]


def test_crops_are_the_pixels_at_their_place() -> None:
    picture = torch.arange(3 * 4 * 10.0).view(3, 4, 10)
    crops = cut(picture, crop_grid(4, 10, 4, 3), 4)
    assert crops.shape == (3, 3, 4, 4)
    assert torch.equal(crops[2], picture[:, :, 6:])


def test_too_large_a_crop_is_refused() -> None:
    with pytest.raises(ValueError, match="10 x 4 px"):
        crop_grid(4, 10, 5, 5)
