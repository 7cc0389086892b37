"""How far raters agree beyond chance: Fleiss' kappa and Krippendorff's alpha for categories without an order."""

import numpy as np
from numpy.typing import NDArray


def fleiss_kappa(counts: NDArray[np.integer]) -> float | None:
    """Agreement of equally many raters per item, over that expected of raters who draw from the overall shares.

    Args:
        counts: ``(items, categories)``, how many raters chose each category; every row has the same sum, at least 2.

    Returns:
        At most 1; 0 is chance. None when all answers are of one category, where chance cannot be told from agreement.

    Raises:
        ValueError: there are no items, or rows differ in their sums, or these are below 2.

    Source: Fleiss 1971, Psychological Bulletin 76(5), equations 1-6.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2 or not counts.size:
        raise ValueError(f"counts must be (items, categories) with at least one item, got shape {counts.shape}")
    num_raters = counts[0].sum()
    if num_raters < 2 or (counts.sum(axis=1) != num_raters).any():
        raise ValueError("every item must have the same number of ratings, at least 2")
    expected = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    observed = float(((counts * (counts - 1)).sum(axis=1) / (num_raters * (num_raters - 1))).mean())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(counts: NDArray[np.integer]) -> float | None:
    """Agreement where items may differ in how many raters answered; items with fewer than 2 answers do not count.

    Args:
        counts: ``(items, categories)``, how many raters chose each category.

    Returns:
        At most 1; 0 is chance. None when nothing can be paired, or all answers are of one category.

    Raises:
        ValueError: it is not a table.

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sections C (nominal data) and D.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2:
        raise ValueError(f"counts must be (items, categories), got shape {counts.shape}")
    counts = counts[counts.sum(axis=1) >= 2]
    if not counts.size:
        return None
    answers = counts.sum(axis=1)
    total, shares = counts.sum(), counts.sum(axis=0)
    # Pairs of unlike answers inside an item, each item weighing as many as it has answers.
    observed = float(((answers**2 - (counts**2).sum(axis=1)) / (answers - 1)).sum() / total)
    expected = float((total**2 - (shares**2).sum()) / (total * (total - 1)))
    return None if expected == 0 else 1 - observed / expected
