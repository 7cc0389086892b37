import json

import pytest

from eval.figures import HEADERS, Figure, Target, markdown_table, missed_line, text_table
from eval.functional.bootstrap import Estimate


def _figure(value: float | None = 0.9, target: Target | None = Target(">=", 0.92), **changes: object) -> Figure:
    estimate = None if value is None else Estimate(value, value - 0.1, value + 0.1, 64, 512)
    fields = {"key": "biome", "title": "biome | obeyed", "definition": "How.", "unit": "percent"}
    return Figure(**(fields | {"estimate": estimate, "target": target} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (0.92, Target(">=", 0.92), True),
        (0.919, Target(">=", 0.92), False),
        (1.25, Target("<=", 1.25), True),
        (1.26, Target("<=", 1.25), False),
        (0.5, None, None),
        (None, Target(">=", 0.92), None),
    ],
)
def test_target_is_met_at_its_edge_and_not_beyond(value: float | None, target: Target | None, met: bool | None) -> None:
    assert _figure(value, target).met is met


def test_value_that_rounds_up_to_its_target_is_still_missed() -> None:
    assert _figure(0.91999).cells()[1] == "92.0 %"
    assert _figure(0.91999).cells()[HEADERS.index("met")] == "MISSED"


def test_tables_hold_every_figure_with_interval_and_counts() -> None:
    figures = [_figure(), _figure(None)]
    text = text_table(figures)
    assert "80.0 .. 100.0" in text
    assert "64 / 512" in text
    assert "not computed" in text
    lines = markdown_table(figures).splitlines()
    assert len(lines) == 4
    assert all(line.count(" | ") == len(HEADERS) - 1 for line in lines)
    assert "biome \\| obeyed" in lines[2]


def test_missed_targets_are_named() -> None:
    assert missed_line([_figure(0.95)]) == "all 1 targets are met"
    assert missed_line([_figure(0.95), _figure(title="other")]) == "1 of 2 targets are missed: other"


def test_target_without_a_value_is_no_success() -> None:
    assert missed_line([_figure(0.95), _figure(None, title="blank")]) == "1 of 2 could not be scored: blank"


@pytest.mark.parametrize("low", [0.25, float("nan")])
def test_json_is_read_back_whole(low: float) -> None:
    curve = {"curve": (0.5, None), "real_curve": (1.0, 1.0), "curve_steps": (0, 5)}
    figures = [
        _figure(estimate=Estimate(0.5, low, low, 3, 6), real=Estimate(1, low, low, 3, 6), **curve),
        _figure(None, None, reason="too few"),
        _figure(unit="dB", estimate=Estimate(float("inf"), 40.0, float("inf"), 1, 1)),
    ]
    for figure in figures:
        told = json.loads(json.dumps(figure.as_json()))
        again = Figure.from_json("biome", told)
        assert (again.as_json(), again.cells()) == (told, figure.cells())


def test_json_holds_no_infinity_or_nan() -> None:
    infinite = _figure(unit="dB", estimate=Estimate(float("inf"), 40.0, float("inf"), 1, 1))
    text = json.dumps([infinite.as_json(), _figure(None).as_json()], allow_nan=False)
    first, second = json.loads(text)
    assert (first["value"], first["interval_95"]) == (None, [40.0, None])
    assert second["value"] is None
