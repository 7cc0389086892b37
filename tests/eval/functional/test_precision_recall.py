import pytest
import torch

from eval.functional.kid import polynomial_mmd
from eval.functional.precision_recall import precision_recall


def features(count: int, seed: int) -> torch.Tensor:
    return 0.05 * torch.randn(count, 64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("offset", [0, 10, 100])
def test_precision_and_recall_are_those_of_distances_one_by_one_wherever_the_features_lie(offset: float) -> None:
    generated, real = features(60, 0) + offset, features(60, 1) + offset

    def distances(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return (one.double()[:, None] - other.double()[None]).norm(dim=-1)

    def share_inside(points: torch.Tensor, centres: torch.Tensor) -> float:
        radii = distances(centres, centres).sort(dim=1).values[:, 3]
        return (distances(points, centres) <= radii).any(dim=1).double().mean().item()

    assert precision_recall(generated, real, 3) == (share_inside(generated, real), share_inside(real, generated))


def test_a_kernel_distance_does_not_show_how_floats_are_rounded() -> None:
    one, other = 2 * features(50, 0) + 30, 2 * features(50, 1) + 30
    exact = polynomial_mmd(one.double(), other.double())
    assert polynomial_mmd(one, other) == exact
