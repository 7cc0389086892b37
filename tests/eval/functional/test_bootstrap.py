import numpy as np
import pytest

from eval.functional.bootstrap import ratio_estimate


def test_interval_holds_the_mean_and_shrinks_with_the_number_of_units() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (16, 256):
        values = rng.normal(size=count)
        estimate = ratio_estimate(values, np.ones(count))
        assert estimate.value == pytest.approx(values.mean())
        assert estimate.low < estimate.value < estimate.high
        widths.append(estimate.high - estimate.low)
    assert 3 < widths[0] / widths[1] < 6


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    estimates = [ratio_estimate(rng.normal(size=64), np.ones(64), num_resamples=300) for _ in range(300)]
    covered = np.mean([estimate.low <= 0 <= estimate.high for estimate in estimates])
    assert 0.90 <= covered <= 0.98


def test_ratio_weighs_items_and_leaves_empty_units_out() -> None:
    estimate = ratio_estimate(np.array([1.0, 0.0, 3.0]), np.array([1.0, 0.0, 9.0]))
    assert estimate.value == pytest.approx(0.4)
    assert (estimate.num_units, estimate.num_items) == (2, 10)


def test_units_that_agree_leave_no_interval() -> None:
    estimate = ratio_estimate(np.ones(8), np.ones(8))
    assert (estimate.low, estimate.value, estimate.high) == (1.0, 1.0, 1.0)


def test_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=20)
    assert ratio_estimate(values, np.ones(20), seed=3) == ratio_estimate(values, np.ones(20), seed=3)


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        ratio_estimate(np.zeros(3), np.zeros(3))
