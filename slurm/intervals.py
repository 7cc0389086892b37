"""Mean and 95 % interval over seeds."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

LEVEL: Final = 0.95


class Summary(NamedTuple):
    """A figure over some runs."""

    mean: float
    """Arithmetic mean."""
    half_width: float | None
    """Half of the 95 % interval of the mean; None for a single run, which says nothing about chance."""
    runs: int
    """Runs."""

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half_width is None else self.mean + self.half_width


def summarise(values: Sequence[float]) -> Summary:
    """Mean and Student interval, which assumes that runs under different seeds scatter normally.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a mean needs at least one value, got none")
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Summary(mean, None, 1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Summary(mean, student_quantile((1 + LEVEL) / 2, count - 1) * spread / math.sqrt(count), count)


def student_quantile(probability: float, freedom: int) -> float:
    """The t with ``P(T <= t) = probability`` for ``freedom`` degrees of freedom, by bisection.

    Args:
        probability: in [0.5, 1).
        freedom: at least 1.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0.5 <= probability < 1 or freedom < 1:
        raise ValueError(f"probability must lie in [0.5, 1) and freedom be at least 1, got {probability} and {freedom}")
    low, high = 0.0, 1.0
    while _student_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _student_cdf(t: float, freedom: int) -> float:
    """``P(T <= t)`` for t >= 0, by the finite sums for whole degrees of freedom.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + inside / 2
