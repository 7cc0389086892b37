import numpy as np
import pytest

from eval.functional.paired import paired_difference


def test_a_run_does_not_differ_from_itself() -> None:
    hits, asked = np.array([1.0, 0.0, 2.0]), np.array([2.0, 1.0, 2.0])
    estimate = paired_difference((hits, asked), (hits, asked))
    assert estimate is not None
    assert (estimate.low, estimate.value, estimate.high) == (0, 0, 0)


def test_pairing_takes_out_what_panoramas_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(scale=10, size=40)
    other = hard + 0.3 + rng.normal(scale=0.1, size=40)
    estimate = paired_difference((hard, np.ones(40)), (other, np.ones(40)))
    assert estimate is not None
    assert estimate.value == pytest.approx((other - hard).mean())
    assert 0.2 < estimate.low < estimate.value < estimate.high < 0.4


def test_interval_agrees_with_that_of_the_mean_difference() -> None:
    rng = np.random.default_rng(1)
    first, other = rng.normal(size=(2, 60))
    estimate = paired_difference((first, np.ones(60)), (other, np.ones(60)))
    assert estimate is not None
    half = 1.96 * (other - first).std(ddof=1) / np.sqrt(60)
    assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=0.1)


def test_ratios_are_of_sums_and_panoramas_without_items_do_not_count() -> None:
    first = np.array([1.0, 0.0, 0.0]), np.array([1.0, 3.0, 0.0])
    other = np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    estimate = paired_difference(first, other)
    assert estimate is not None
    assert estimate.value == pytest.approx(2 / 2 - 1 / 4)
    assert (estimate.num_units, estimate.num_items) == (2, 2)


def test_nothing_asked_of_one_run_is_no_difference() -> None:
    some, none = (np.ones(2), np.ones(2)), (np.zeros(2), np.zeros(2))
    assert paired_difference(some, none) is None


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="alike in shape"):
        paired_difference((np.ones(2), np.ones(2)), (np.ones(3), np.ones(3)))
