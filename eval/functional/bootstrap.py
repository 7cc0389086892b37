"""Bootstrap intervals over panoramas, for ratios of sums (means and proportions are special cases)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_RESAMPLES = 2000
LEVEL = 0.95


class Estimate(NamedTuple):
    """A value with its percentile bootstrap interval.

    The interval collapses to a point when all panoramas agree (all right, or all wrong): read n next to it.
    """

    value: float
    low: float
    high: float
    num_units: int
    """Independent units (panoramas, or windows) that were resampled."""
    num_items: int
    """Items counted in them (windows, objects): the sum of the denominators."""


def ratio_estimate(
    numerators: NDArray[np.floating],
    denominators: NDArray[np.floating],
    *,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """Sum of numerators over sum of denominators, with an interval from resampling whole units.

    Windows of one panorama resemble each other, so panoramas are drawn with replacement, never single windows.

    Args:
        numerators: ``(n,)``, one per unit: what was reached (hits, or the sum of a score).
        denominators: ``(n,)``, one per unit: out of how many; units with 0 items carry no weight.
        num_resamples: how many times units are redrawn.
        level: coverage of the interval.
        seed: of the resampling; the same seed gives the same interval.

    Raises:
        ValueError: shapes differ, or there is nothing to score.
    """
    numerators, denominators = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if numerators.shape != denominators.shape or numerators.ndim != 1:
        raise ValueError(f"sums must be 1-D and alike in shape, got {numerators.shape} and {denominators.shape}")
    used = denominators > 0
    if not used.any():
        raise ValueError("nothing to score: every denominator is 0")
    numerators, denominators = numerators[used], denominators[used]
    value = float(numerators.sum() / denominators.sum())
    draws = resampled_indices(len(numerators), num_resamples, seed)
    resampled = numerators[draws].sum(axis=1) / denominators[draws].sum(axis=1)
    low, high = interval(resampled, level)
    return Estimate(value, low, high, len(numerators), int(denominators.sum()))


def resampled_indices(num_units: int, num_resamples: int, seed: int) -> NDArray[np.integer]:
    """``(num_resamples, num_units)`` indices drawn with replacement."""
    return np.random.default_rng(seed).integers(0, num_units, size=(num_resamples, num_units))


def interval(values: NDArray[np.floating], level: float) -> tuple[float, float]:
    """Percentile interval that holds ``level`` of the values."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
