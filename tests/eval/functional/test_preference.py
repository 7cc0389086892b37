import numpy as np
import pytest
from scipy.stats import binomtest

from eval.functional.preference import binomial_interval, preference


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (3, 10), (40, 64)])
def test_exact_interval_agrees_with_scipy(successes: int, trials: int) -> None:
    wanted = binomtest(successes, trials).proportion_ci(method="exact")
    assert binomial_interval(successes, trials) == pytest.approx((wanted.low, wanted.high))


def test_preference_is_the_mean_of_the_answers_given() -> None:
    estimate = preference(np.array([[1.0, 0.5, np.nan], [0.0, 1.0, np.nan], [np.nan] * 3]))
    assert estimate is not None
    assert estimate.value == pytest.approx(2.5 / 4)
    assert (estimate.num_units, estimate.num_items) == (2, 4)


def test_raters_who_differ_among_themselves_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    alike = (rng.random((20, 40)) < 0.5).astype(float)
    apart = np.repeat((np.arange(20) % 2)[:, None], 40, axis=1).astype(float)
    one, other = preference(alike), preference(apart)
    assert one is not None
    assert other is not None
    assert other.high - other.low > 2 * (one.high - one.low)


def test_interval_covers_the_true_share_at_least_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        chances = np.clip(0.6 + rng.normal(scale=0.15, size=(12, 1)) + rng.normal(scale=0.15, size=(1, 24)), 0, 1)
        estimate = preference((rng.random((12, 24)) < chances).astype(float), num_resamples=200)
        assert estimate is not None
        hits += estimate.low <= 0.6 <= estimate.high
    assert hits >= 180


def test_without_answers_there_is_no_preference() -> None:
    assert preference(np.full((2, 3), np.nan)) is None


def test_more_successes_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        binomial_interval(3, 2)
