"""The share of answers that prefer one of two methods, with an interval over raters and items."""

import numpy as np
from numpy.typing import NDArray

from eval.functional.bootstrap import LEVEL, NUM_RESAMPLES, Estimate, interval


def preference(
    scores: NDArray[np.floating],
    *,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate | None:
    """Mean score, with a percentile interval from redrawing raters and items independently of each other.

    Both are drawn with replacement, so the interval holds for other raters and other items alike. It is rather too
    wide than too narrow.

    Args:
        scores: ``(raters, items)``: 1 prefers the method, 0 the other one, 0.5 a tie; NaN where there is no answer.
        num_resamples: how many times they are redrawn.
        level: coverage of the interval.
        seed: of the resampling.

    Returns:
        Its units are the raters, its items the answers; None without any answer.

    Raises:
        ValueError: it is not a table.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"scores must be (raters, items), got shape {scores.shape}")
    given = ~np.isnan(scores)
    scores, given = scores[given.any(axis=1)], given[given.any(axis=1)]
    if not given.any():
        return None
    filled = np.where(given, scores, 0.0)
    rng = np.random.default_rng(seed)
    num_raters, num_items = scores.shape
    raters = rng.multinomial(num_raters, np.full(num_raters, 1 / num_raters), size=num_resamples)
    items = rng.multinomial(num_items, np.full(num_items, 1 / num_items), size=num_resamples)
    sums = ((raters @ filled) * items).sum(axis=1)
    counts = ((raters @ given) * items).sum(axis=1)
    low, high = interval(sums[counts > 0] / counts[counts > 0], level)
    return Estimate(float(filled.sum() / given.sum()), low, high, num_raters, int(given.sum()))


def binomial_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a proportion: the shares under which what was seen is not too rare on either side.

    Args:
        successes: in ``[0, trials]``.
        trials: at least 1.
        level: coverage, which is never below this.

    Raises:
        ValueError: there are no trials, or more successes than trials.

    Source: Clopper & Pearson 1934, Biometrika 26(4).
    """
    from scipy.special import betaincinv  # type: ignore[import-untyped]

    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"successes must lie between 0 and the number of trials, got {successes} of {trials}")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high
