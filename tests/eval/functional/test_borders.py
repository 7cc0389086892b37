import pytest
import torch

from eval.functional.borders import border_scores, squares_fit


def noise(seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(3, 3, 64, 128, generator=torch.Generator().manual_seed(seed)) * scale


def ramp() -> torch.Tensor:
    return torch.linspace(-1, 1, 128).expand(2, 3, 64, 128)


def test_a_place_like_any_other_scores_one() -> None:
    colour, texture = border_scores(ramp(), 64)
    torch.testing.assert_close(colour, torch.ones(2))
    torch.testing.assert_close(texture, torch.ones(2))
    for score in border_scores(noise(), 64):
        assert ((score > 0.6) & (score < 1.6)).all()


def test_a_step_of_colour_raises_the_first_alone_by_its_height() -> None:
    stepped = ramp().clone()
    per_px = 2 / 127
    stepped[..., 64:] += 3 * 8 * per_px
    colour, texture = border_scores(stepped, 64, squares_px=(8,))
    torch.testing.assert_close(colour, torch.full((2,), 4.0))
    torch.testing.assert_close(texture, torch.ones(2))


def test_another_texture_raises_the_second_alone() -> None:
    rough = torch.cat([noise()[..., :64], noise(scale=3.0)[..., 64:]], dim=-1)
    plain, (colour, texture) = border_scores(noise(), 64), border_scores(rough, 64)
    assert (texture > 4 * plain.texture).all()
    assert (colour < 2).all()


def test_a_line_that_is_pasted_over_still_parts_two_surfaces() -> None:
    """What the score of lines cannot see: both sides fade into each other over a few pixels."""
    faded = torch.zeros(1, 3, 64, 128)
    faded[..., 64:] = 1
    faded[..., 60:68] = torch.linspace(0, 1, 8)
    faded += noise()[:1] * 0.01
    assert border_scores(faded, 64).colour.item() > 20


def test_scores_along_y_are_those_of_the_turned_picture_and_range_does_not_matter() -> None:
    image = noise()
    for one, other in zip(border_scores(image, 48), border_scores(image.transpose(-1, -2), 48, "y"), strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(border_scores(image, 48), border_scores(image * 127.5 + 90, 48), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_flat_pictures_score_one() -> None:
    for score in border_scores(torch.full((1, 3, 64, 64), 0.3), 32):
        assert score.tolist() == [1.0]


@pytest.mark.parametrize("seam", [0, 15, 113, 128])
def test_squares_that_do_not_fit_are_refused(seam: int) -> None:
    assert not squares_fit(seam, 128)
    with pytest.raises(ValueError, match="must fit on both sides of the seam"):
        border_scores(ramp(), seam)
