"""Plots of a sweep as SVG, from a template.

Not by matplotlib: it takes seconds and knows no tooltips (CONTRIBUTING.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from lit_outpaint.system.templates import template
from lit_outpaint.system.ticks import nice_ticks
from slurm.results import Results

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 330, 250, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, PANEL_WIDTH - 14, 34, PANEL_HEIGHT - 62
# Okabe and Ito's colours, which stay apart for colour-blind eyes.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f00", "#000000")


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """What the template draws of one figure; places are in pixels of the panel."""

    title: str
    note: str = ""
    """In place of a drawing."""
    ticks: Sequence[tuple[float, str]] = ()
    labels: Sequence[tuple[float, str, bool]] = ()
    """Below: where, what, and whether slanted."""
    rows: Sequence[Mapping[str, Any]] = ()
    """Combinations: ``x``, ``runs`` at ``beside``, ``ends`` of the interval, ``mean``, and the tooltip, ``told``."""
    curves: Sequence[Mapping[str, Any]] = ()
    """``name``, ``colour``, ``points``, and where the ``key`` stands."""


def plot(results: Results) -> Markup:
    """One panel a figure: the mean of each combination with its 95 % interval, and every run as a dot."""
    return _sheet([_summary_panel(results, figure) for figure in results.figures])


def curves_plot(title: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> Markup:
    """Curves of one figure over training steps, one colour a combination or run."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return _sheet([_Panel(title=title, note="nothing to draw")])
    values = [value for _, value in points]
    ticks = nice_ticks(min(values), max(values))
    right = max(max(step for step, _ in points), 1)
    drawn = [
        {
            "name": name,
            "colour": COLOURS[index % len(COLOURS)],
            "points": [(_x(step / right), _y(value, ticks)) for step, value in curve],
            "key": (_x(index % 3 / 3), _BOTTOM + 34 + 12 * (index // 3)) if index < len(COLOURS) else None,
        }
        for index, (name, curve) in enumerate(curves.items())
    ]
    labels = [(_x(0.5), "step", False), (_x(0), "0", False), (_x(1) - 8, str(right), False)]
    return _sheet([_Panel(title=title, ticks=_marks(ticks), labels=labels, curves=drawn)])


def _summary_panel(results: Results, figure: str) -> _Panel:
    seen = [value for row in results.rows for value in row.values.get(figure, [])]
    if not seen:
        return _Panel(title=figure, note="no run has it yet")
    found = [row.summaries[figure] for row in results.rows if figure in row.summaries]
    seen += [value for each in found for value in (each.mean, each.low, each.high) if value is not None]
    ticks = nice_ticks(min(seen), max(seen))
    slanted = len(results.rows) > 4
    labels, rows = [], []
    for index, row in enumerate(results.rows):
        x = _x((index + 0.5) / len(results.rows))
        labels.append((x, row.name, slanted or len(row.name) > 9))
        summary = row.summaries.get(figure)
        if summary is None:
            continue
        ends = (summary.low, summary.high)
        rows.append(
            {
                "x": x,
                "beside": round(x + 7, 1),
                "runs": [_y(value, ticks) for value in row.values[figure]],
                "ends": [_y(end, ticks) for end in ends if end is not None],
                "mean": _y(summary.mean, ticks),
                "told": f"{row.name}: {results.cell(row, figure)}",
            }
        )
    marks = _marks(ticks, percent=results.units.get(figure) == "percent")
    return _Panel(title=figure, ticks=marks, labels=labels, rows=rows)


def _sheet(panels: Sequence[_Panel]) -> Markup:
    columns = min(COLUMNS, max(len(panels), 1))
    placed = [
        ((number % columns * PANEL_WIDTH, number // columns * PANEL_HEIGHT), panel)
        for number, panel in enumerate(panels)
    ]
    drawn = template("slurm", "plot.svg").render(
        panels=placed,
        width=columns * PANEL_WIDTH,
        height=-(-len(panels) // columns) * PANEL_HEIGHT,
        left=_LEFT,
        right=_RIGHT,
        middle=PANEL_HEIGHT // 2,
        below=_BOTTOM + 18,
    )
    return Markup(drawn)


def _x(share: float) -> float:
    return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def _y(value: float, ticks: Sequence[float]) -> float:
    return round(_BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (_BOTTOM - _TOP), 1)


def _marks(ticks: Sequence[float], percent: bool = False) -> list[tuple[float, str]]:
    return [(_y(tick, ticks), f"{100 * tick:.4g} %" if percent else f"{tick:.4g}") for tick in ticks]
