"""Small line charts as inline SVG, drawn without a plotting library so that the page stays small."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 26
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


class Line(NamedTuple):
    """One curve; its style is a class of the page's style sheet."""

    label: str
    style: str
    """``drawn``, ``truth``, or another of ``RUN_STYLES``."""
    xs: Sequence[float]
    ys: Sequence[float | None]


def line_chart(
    lines: Sequence[Line],
    x_label: str,
    *,
    top: float | None = None,
    target: float | None = None,
) -> str:
    """An SVG with axes, one polyline per curve (broken at None) and a dashed target line.

    Args:
        lines: the curves; their labels become tooltips of the points.
        x_label: what the x axis counts.
        top: upper end of the y axis; None fits the data. The lower end fits the data and is not negative without need.
        target: y of the target line.

    Returns:
        An ``<svg>`` element, or a note when there is nothing to draw.
    """
    xs = [x for line in lines for x in line.xs]
    ys = [y for line in lines for y in line.ys if y is not None]
    if not ys:
        return '<p class="note">nothing to draw</p>'
    if target is not None:
        ys.append(target)
    ticks = nice_ticks(min(ys), max(ys) if top is None else max(top, *ys))
    low, high = ticks[0], ticks[-1]
    left, right = min(xs), max(max(xs), min(xs) + 1e-9)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - left) / (right - left) * (WIDTH - _LEFT - _RIGHT)
        return across, _TOP + (high - y) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [_y_axis(ticks, lambda y: place(left, y)[1]), _x_axis(left, right, x_label)]
    if target is not None:
        y = place(left, target)[1]
        parts.append(f'<line class="target" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for line in lines:
        parts += [_polyline(run, line.style) for run in _runs(line, place)]
        if len(line.xs) <= 40:
            parts += [_point(line, x, y, place(x, y)) for x, y in zip(line.xs, line.ys, strict=True) if y is not None]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def chart(title: str, svg: str) -> str:
    """A chart with its title."""
    return f'<figure class="chart"><figcaption>{escape(title)}</figcaption>{svg}</figure>'


def legend(styles: Sequence[tuple[str, str]]) -> str:
    """What lines stand for.

    Args:
        styles: labels, and the style of the line of each; ``target`` is one too.
    """
    return "".join(
        f'<span class="key"><svg viewBox="0 0 36 10" role="img">{_polyline([(0, 5), (36, 5)], style)}'
        f"{'' if style == 'target' else _mark(style, 18, 5)}</svg>{escape(label)}</span>"
        for label, style in styles
    )


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round, evenly spaced numbers that enclose the range: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        room = 0.1 * abs(low) or 1.0
        low, high = (0.0 if low == 0 else low - room), high + room
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _y_axis(ticks: Sequence[float], y_of: Callable[[float], float]) -> str:
    marks = []
    for value in ticks:
        y = y_of(value)
        marks.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{value:.4g}</text>')
    return "".join(marks)


def _x_axis(left: float, right: float, label: str) -> str:
    y = HEIGHT - 8
    return (
        f'<text x="{_LEFT}" y="{y}">{left:g}</text>'
        f'<text x="{WIDTH - _RIGHT}" y="{y}" text-anchor="end">{right:g}</text>'
        f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{y}" text-anchor="middle">{escape(label)}</text>'
    )


def _runs(line: Line, place: Callable[[float, float], tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(line.xs, line.ys, strict=True):
        if y is None:
            runs.append([])
        else:
            runs[-1].append(place(x, y))
    return [run for run in runs if len(run) > 1]


def _polyline(points: Sequence[tuple[float, float]], style: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{style}" points="{path}"/>'


def _point(line: Line, x: float, y: float, at: tuple[float, float]) -> str:
    return _mark(line.style, *at, f"<title>{escape(f'{line.label}, {x:g}: {y:.4g}')}</title>")


def _mark(style: str, x: float, y: float, inside: str = "") -> str:
    if style in _SHAPES:
        place = f'transform="translate({x:.1f} {y:.1f})"'
        return f'<path class="{style}" d="{_SHAPES[style]}" {place}>{inside}</path>'
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">{inside}</circle>'
