import pytest
import torch

from eval.functional.repetition import repetition


def _meadow(width: int, seed: int) -> torch.Tensor:
    """A sky over a meadow with faint noise: a horizon everywhere, nothing else."""
    picture = torch.full((3, 64, width), -0.2)
    picture[:, 32:] = 0.3
    return picture + 0.02 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))


def _thing() -> torch.Tensor:
    return torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(9)).round() * 1.6 - 0.8


def test_a_repeated_object_is_found_wherever_it_stands() -> None:
    past, new = _meadow(192, 0), _meadow(64, 1)
    new[:, 20:40, 10:30] = _thing()
    before = repetition(new, past)
    past[:, 25:45, 101:121] = _thing()
    assert before == 0
    assert repetition(new, past) > 0.02


def test_horizons_and_skies_do_not_count() -> None:
    assert repetition(_meadow(64, 1), _meadow(192, 0)) == 0


def test_a_copy_repeats_more_than_another_picture() -> None:
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    other = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    assert repetition(noise, noise) == 1
    assert repetition(noise, other) == 0


def test_nothing_was_before_the_start() -> None:
    assert repetition(_meadow(64, 0), _meadow(64, 0)[:, :, :0]) == 0


def test_heights_must_agree() -> None:
    with pytest.raises(ValueError, match="one height"):
        repetition(torch.zeros(3, 64, 64), torch.zeros(3, 32, 64))
