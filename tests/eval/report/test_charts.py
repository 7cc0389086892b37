import re
from itertools import pairwise

import pytest

from eval.report.charts import HEIGHT, WIDTH, Line, line_chart, nice_ticks


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.527, 1.0), (-3.0, 12.0), (0.0, 239.0), (0.3, 0.3), (0.0, 0.0), (1e-7, 2e-7)]
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


def test_points_stay_inside_and_higher_values_stand_higher() -> None:
    svg = line_chart([Line("a", "drawn", [1, 2, 3], [0.2, 0.8, 0.5])], "step", top=1.0, target=0.9)
    points = [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[0][1] > points[2][1] > points[1][1]
    assert 'class="target"' in svg


def test_curve_breaks_where_nothing_was_asked() -> None:
    svg = line_chart([Line("a", "drawn", range(5), [1.0, 2.0, None, 3.0, 4.0])], "step")
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 4


def test_curve_without_values_says_so() -> None:
    assert "nothing to draw" in line_chart([Line("a", "drawn", [1], [None])], "step")


def test_labels_are_escaped() -> None:
    assert "<b>" not in line_chart([Line("<b>", "drawn", [1], [1.0])], "<b>")
