import numpy as np
import pytest
import torch
from scipy.stats import linregress, t

from eval.functional.slope import line_interval, mean_interval, slopes

STEPS = torch.tensor([0.0, 1, 5, 10, 20])


def test_slope_of_lines_is_theirs() -> None:
    found = slopes(torch.stack([3 - 0.5 * STEPS, 2 * STEPS]), STEPS)
    torch.testing.assert_close(found, torch.tensor([-0.5, 2.0], dtype=torch.float64))


def test_interval_of_a_line_agrees_with_scipy() -> None:
    values = 1 + 0.3 * STEPS + torch.tensor([0.1, -0.2, 0.05, 0.3, -0.1])
    expected = linregress(STEPS.numpy(), values.numpy())
    reach = t.ppf(0.975, 3) * expected.stderr
    found = line_interval(values, STEPS)
    assert tuple(found) == pytest.approx((expected.slope, expected.slope - reach, expected.slope + reach), rel=1e-5)


def test_interval_of_a_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(size=9)
    low, high = t.interval(0.95, 8, loc=values.mean(), scale=values.std(ddof=1) / 3)
    found = mean_interval(values.sum(), (values**2).sum(), 9)
    assert tuple(found) == pytest.approx((values.mean(), low, high))


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="two different steps"):
        slopes(torch.ones(2), torch.ones(2))
    with pytest.raises(ValueError, match="at least 3 points"):
        line_interval(torch.ones(2), torch.arange(2))
    with pytest.raises(ValueError, match="at least 2 independent"):
        mean_interval(1.0, 1.0, 1)
