"""The difference of one figure between two runs on the same panoramas."""

import numpy as np
from numpy.typing import NDArray

from eval.functional.bootstrap import LEVEL, NUM_RESAMPLES, Estimate, interval, resampled_indices


def paired_difference(
    first: tuple[NDArray[np.floating], NDArray[np.floating]],
    other: tuple[NDArray[np.floating], NDArray[np.floating]],
    *,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate | None:
    """The ratio of sums of the other run less that of the first, with a percentile interval.

    Each resample takes the panoramas of both runs together, so what makes a panorama hard for both cancels. A resample
    that holds no item of one run has no ratio and is left out of the interval.

    Args:
        first: numerators and denominators of the first run, ``(n,)`` each, one entry per panorama; a mean has the
            number of its items as the denominator.
        other: the same of the other run, in the same order.
        num_resamples: how many times panoramas are redrawn.
        level: coverage of the interval.
        seed: of the resampling.

    Returns:
        The difference; its units are the panoramas with items in either run, its items those of the other run. None
        when one run has no items at all.

    Raises:
        ValueError: shapes differ.
    """
    arrays = [np.asarray(values, dtype=np.float64) for values in (*first, *other)]
    if any(values.ndim != 1 or values.shape != arrays[0].shape for values in arrays):
        raise ValueError(f"sums must be 1-D and alike in shape, got {[values.shape for values in arrays]}")
    used = (arrays[1] > 0) | (arrays[3] > 0)
    hits, asked, other_hits, other_asked = (values[used] for values in arrays)
    if not asked.any() or not other_asked.any():
        return None
    value = other_hits.sum() / other_asked.sum() - hits.sum() / asked.sum()
    draws = resampled_indices(len(hits), num_resamples, seed)
    below, other_below = asked[draws].sum(axis=1), other_asked[draws].sum(axis=1)
    whole = (below > 0) & (other_below > 0)
    draws, below, other_below = draws[whole], below[whole], other_below[whole]
    low, high = interval(other_hits[draws].sum(axis=1) / other_below - hits[draws].sum(axis=1) / below, level)
    return Estimate(float(value), low, high, len(hits), int(other_asked.sum()))
