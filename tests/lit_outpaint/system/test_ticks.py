from itertools import pairwise

import pytest

from lit_outpaint.system.ticks import nice_ticks


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.0, 1.0),
        (0.527, 1.0),
        (-3.0, 12.0),
        (0.0, 239.0),
        (0.31, 0.36),
        (0.3, 0.3),
        (0.0, 0.0),
        (1e-7, 2e-7),
        (-3.0, 1e4),
    ],
)
def test_ticks_enclose_the_range_evenly(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-12
    assert ticks[-1] >= high - 1e-12
    assert 2 <= len(ticks) <= 8
    gaps = [after - before for before, after in pairwise(ticks)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps))
    if low >= 0:
        assert ticks[0] >= 0
