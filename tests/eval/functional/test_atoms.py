import numpy as np
import pytest
from scipy.stats import gmean

from eval.functional.atoms import arithmetic_mean, geometric_mean


def test_means_agree_with_scipy_and_keep_their_order() -> None:
    scores = np.random.default_rng(0).random(7)
    assert geometric_mean(scores) == pytest.approx(gmean(scores))
    assert geometric_mean(scores) <= arithmetic_mean(scores)


@pytest.mark.parametrize(("scores", "arithmetic", "geometric"), [([1, 1, 1], 1, 1), ([1, 0, 1, 1], 0.75, 0)])
def test_with_yes_and_no_the_geometric_mean_is_all_or_nothing(
    scores: list[float], arithmetic: float, geometric: float
) -> None:
    assert arithmetic_mean(np.array(scores)) == arithmetic
    assert geometric_mean(np.array(scores)) == geometric
