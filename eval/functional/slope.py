"""Slopes of curves over steps, with a confidence interval over independent curves."""

import math
from typing import NamedTuple

from jaxtyping import Float
from scipy.special import stdtrit  # type: ignore[import-untyped]
from torch import Tensor


class Interval(NamedTuple):
    """A mean with its confidence interval."""

    value: float
    low: float
    high: float


def slopes(values: Float[Tensor, "... k"], steps: Float[Tensor, " k"]) -> Float[Tensor, "..."]:
    """Least-squares slope of every curve, per step.

    Args:
        values: of the curves at these steps.
        steps: at least two different ones.

    Raises:
        ValueError: the steps are all alike.
    """
    centred = steps.double() - steps.double().mean()
    spread = centred.square().sum()
    if spread == 0:
        raise ValueError("a slope needs at least two different steps")
    return (values.double() * centred).sum(dim=-1) / spread


def mean_interval(total: float, total_of_squares: float, count: int, level: float = 0.95) -> Interval:
    """Mean of independent values and its t interval, from running sums.

    Args:
        total: sum of the values.
        total_of_squares: sum of their squares.
        count: how many.
        level: coverage of the interval.

    Raises:
        ValueError: fewer than two values.
    """
    if count < 2:
        raise ValueError(f"an interval needs at least 2 independent values, got {count}")
    mean = total / count
    variance = max(total_of_squares - count * mean**2, 0.0) / (count - 1)
    reach = float(stdtrit(count - 1, (1 + level) / 2)) * math.sqrt(variance / count)
    return Interval(mean, mean - reach, mean + reach)


def line_interval(values: Float[Tensor, " k"], steps: Float[Tensor, " k"], level: float = 0.95) -> Interval:
    """Slope of one curve with the t interval of least squares: from how far its points lie off the line.

    Raises:
        ValueError: fewer than three points.
    """
    if len(values) < 3:
        raise ValueError(f"the interval of one curve's slope needs at least 3 points, got {len(values)}")
    slope = slopes(values, steps)
    centred = steps.double() - steps.double().mean()
    residuals = values.double() - values.double().mean() - slope * centred
    error = (residuals.square().sum() / (len(values) - 2) / centred.square().sum()).sqrt()
    reach = float(stdtrit(len(values) - 2, (1 + level) / 2)) * float(error)
    return Interval(float(slope), float(slope) - reach, float(slope) + reach)
