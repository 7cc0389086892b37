"""Small line charts as inline SVG, from a template.

Not by matplotlib: it takes seconds a page and knows neither tooltips nor the colours of a dark page (CONTRIBUTING.md).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from lit_outpaint.system.templates import macros
from lit_outpaint.system.ticks import nice_ticks

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, WIDTH - 10, 12, HEIGHT - 26
_FRAME: Final = {"width": WIDTH, "height": HEIGHT, "left": _LEFT, "right": _RIGHT}
_MOST_MARKED: Final = 40
"""Curves of more points are lines alone."""
RUN_STYLES: Final = ("drawn", "run2", "run3", "run4", "run5", "run6")
"""Of lines that stand for runs. They differ in dashes and in the shape of their points too, not in colour alone."""
_SHAPES: Final = {
    "run2": "M-2.7,-2.7h5.4v5.4h-5.4z",
    "run3": "M0,-3.6L3.4,2.6H-3.4z",
    "run4": "M0,-3.8L3.8,0L0,3.8L-3.8,0z",
    "run5": "M0,3.6L3.4,-2.6H-3.4z",
    "run6": "M-3,-3L3,3M-3,3L3,-3",
}
"""Outlines of points around (0, 0); those of other styles are circles."""

Place = Callable[[float, float], tuple[float, float]]
"""Where a value lies in the drawing."""


class Line(NamedTuple):
    """One curve; its style is a class of the page's style sheet."""

    label: str
    style: str
    """``drawn``, ``truth``, or another of ``RUN_STYLES``."""
    xs: Sequence[float]
    ys: Sequence[float | None]


class Chart(NamedTuple):
    """Axes, one polyline per curve (broken at None) and a dashed target line."""

    title: str
    lines: Sequence[Line]
    """Their labels become tooltips of the points."""
    x_label: str
    """What the x axis counts."""
    top: float | None = None
    """Upper end of the y axis; None fits the data. The lower end fits the data and is not negative without need."""
    target: float | None = None
    """Y of the target line."""


def charts(drawn: Sequence[Chart], keys: Sequence[tuple[str, str]] = (), note: str = "") -> Markup:
    """Charts with their titles, and a note where there is nothing to draw; nothing without charts.

    Args:
        drawn: the charts.
        keys: what lines stand for: labels, and the style of the line of each; ``target`` is one too.
        note: stands behind the keys.
    """
    if not drawn:
        return Markup()
    titled = [(chart.title, _chart(chart)) for chart in drawn]
    shaped = [(label, style, _SHAPES.get(style)) for label, style in keys]
    made: Markup = macros(__package__, "charts.html").charts(titled, shaped, note)
    return made


def _chart(chart: Chart) -> dict[str, Any] | None:
    """What the template draws; None when no curve has a value."""
    xs = [x for line in chart.lines for x in line.xs]
    ys = [y for line in chart.lines for y in line.ys if y is not None]
    if not ys:
        return None
    if chart.target is not None:
        ys.append(chart.target)
    ticks = nice_ticks(min(ys), max(ys) if chart.top is None else max(chart.top, *ys))
    low, high = ticks[0], ticks[-1]
    left, right = min(xs), max(max(xs), min(xs) + 1e-9)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - left) / (right - left) * (_RIGHT - _LEFT)
        return round(across, 1), round(_TOP + (high - y) / (high - low) * (_BOTTOM - _TOP), 1)

    return {
        "frame": _FRAME,
        "ticks": [(f"{value:.4g}", place(left, value)[1]) for value in ticks],
        "ends": (f"{left:g}", f"{right:g}"),
        "label": chart.x_label,
        "target": None if chart.target is None else place(left, chart.target)[1],
        "curves": [_curve(line, place) for line in chart.lines],
    }


def _curve(line: Line, place: Place) -> dict[str, Any]:
    runs: list[list[tuple[float, float]]] = [[]]
    points = []
    for x, y in zip(line.xs, line.ys, strict=True):
        if y is None:
            runs.append([])
            continue
        runs[-1].append(place(x, y))
        points.append((*place(x, y), f"{line.label}, {x:g}: {y:.4g}"))
    return {
        "style": line.style,
        "shape": _SHAPES.get(line.style),
        "runs": [run for run in runs if len(run) > 1],
        "points": points if len(line.xs) <= _MOST_MARKED else (),
    }
