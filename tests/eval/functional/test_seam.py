import pytest
import torch

from eval.functional.seam import seam_score


def _ramp(width: int = 16, height: int = 8) -> torch.Tensor:
    return torch.linspace(-1, 1, width).expand(2, 3, height, width)


def test_smooth_ramp_scores_one() -> None:
    torch.testing.assert_close(seam_score(_ramp(), 8), torch.ones(2))


def test_planted_seam_raises_the_score_by_its_jump() -> None:
    step = 2 / 15
    planted = _ramp().clone()
    planted[0, :, :, 8:] += 4 * step
    torch.testing.assert_close(seam_score(planted, 8), torch.tensor([5.0, 1.0]))


def test_seam_elsewhere_lowers_the_score() -> None:
    planted = _ramp().clone()
    planted[..., 4:] += 1
    assert (seam_score(planted, 8) < 1).all()


def test_flat_image_has_no_seam_and_a_step_in_a_flat_image_is_all_seam() -> None:
    flat = torch.zeros(1, 3, 8, 8)
    stepped = flat.clone()
    stepped[..., 4:] = 1
    assert seam_score(flat, 4).item() == 1.0
    assert seam_score(stepped, 4).item() == float("inf")


def test_score_along_y_is_that_of_the_turned_image_and_contrast_does_not_matter() -> None:
    image = torch.rand(3, 3, 8, 16, generator=torch.Generator().manual_seed(0))
    across = seam_score(image, 6)
    torch.testing.assert_close(seam_score(image.transpose(-1, -2), 6, "y"), across)
    torch.testing.assert_close(seam_score(image * 127.5 + 3, 6), across)


@pytest.mark.parametrize("seam", [0, 16, -1])
def test_seam_outside_the_image_is_refused(seam: int) -> None:
    with pytest.raises(ValueError, match="seam must lie inside"):
        seam_score(_ramp(), seam)
