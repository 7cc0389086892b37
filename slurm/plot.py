"""Plots as SVG, drawn without a plotting library so that they need none on a head node."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from slurm.results import Results

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 330, 250, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 34, 62
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#44515e}.title{font-weight:600;fill:#1c2733}.grid{stroke:#dde3e9}"
    ".bar{stroke:#1f6feb;stroke-width:2}.mean{fill:#1f6feb}.run{fill:#1c2733;fill-opacity:.35}"
    ".curve{fill:none;stroke-width:1.5}"
)
# Okabe and Ito's colours, which stay apart for colour-blind eyes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f00", "#000000")


def plot(results: Results) -> str:
    """One panel a figure: the mean of each combination with its 95 % interval, and every run as a dot."""
    panels = [_summary_panel(results, figure) for figure in results.figures]
    return _sheet(panels)


def curves_plot(title: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Curves of one figure over training steps, one colour a combination or run."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return _sheet([_title(title) + _note("nothing to draw")])
    ticks = nice_ticks([value for _, value in points])
    right = max(max(step for step, _ in points), 1)

    def place(step: float, value: float) -> str:
        return f"{_x(step / right):.1f},{_y(value, ticks):.1f}"

    parts = [_title(title), *_grid(ticks), _x_label(_x(0.5), "step"), *_x_ends(right)]
    for index, (name, curve) in enumerate(curves.items()):
        line = " ".join(place(step, value) for step, value in curve)
        tooltip = f"<title>{escape(name)}</title>"
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<polyline class="curve" stroke="{colour}" points="{line}">{tooltip}</polyline>')
        if index < len(COLOURS):
            x, y = _x(index % 3 / 3), PANEL_HEIGHT - _BOTTOM + 34 + 12 * (index // 3)
            parts.append(f'<rect x="{x:.0f}" y="{y - 7}" width="10" height="3" fill="{colour}"/>')
            parts.append(f'<text x="{x + 14:.0f}" y="{y}">{escape(name[:14])}</text>')
    return _sheet(["".join(parts)])


def nice_ticks(values: Sequence[float], wanted: int = 4) -> list[float]:
    """Round, evenly spaced numbers that enclose the values."""
    low, high = min(values), max(values)
    if high <= low:
        room = 0.1 * abs(low) or 1.0
        low, high = low - room, high + room
    power = 10.0 ** math.floor(math.log10((high - low) / wanted))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / wanted <= power * factor * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _summary_panel(results: Results, figure: str) -> str:
    values = [value for row in results.rows for value in row.values.get(figure, [])]
    ends = [end for row in results.rows if figure in row.summaries for end in row.summaries[figure][:1]]
    ends += [
        end
        for row in results.rows
        if (summary := row.summaries.get(figure)) is not None
        for end in (summary.low, summary.high)
        if end is not None
    ]
    if not values:
        return _title(figure) + _note("no run has it yet")
    ticks = nice_ticks([*values, *ends])
    parts = [_title(figure), *_grid(ticks, percent=results.units.get(figure) == "percent")]
    for index, row in enumerate(results.rows):
        x = _x((index + 0.5) / len(results.rows))
        parts.append(_x_label(x, row.name, slanted=len(results.rows) > 4 or len(row.name) > 9))
        summary = row.summaries.get(figure)
        if summary is None:
            continue
        parts += [
            f'<circle class="run" cx="{x + 7:.1f}" cy="{_y(value, ticks):.1f}" r="2.5"/>'
            for value in row.values[figure]
        ]
        if summary.low is not None and summary.high is not None:
            ends_y = [_y(end, ticks) for end in (summary.low, summary.high)]
            parts.append(f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{ends_y[0]:.1f}" y2="{ends_y[1]:.1f}"/>')
        tooltip = f"<title>{escape(row.name)}: {escape(results.cell(row, figure))}</title>"
        parts.append(f'<circle class="mean" cx="{x:.1f}" cy="{_y(summary.mean, ticks):.1f}" r="4">{tooltip}</circle>')
    return "".join(parts)


def _sheet(panels: Sequence[str]) -> str:
    columns = min(COLUMNS, max(len(panels), 1))
    width, height = columns * PANEL_WIDTH, -(-len(panels) // columns) * PANEL_HEIGHT
    placed = [
        f'<g transform="translate({number % columns * PANEL_WIDTH},{number // columns * PANEL_HEIGHT})">{panel}</g>'
        for number, panel in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(placed)}</svg>\n'
    )


def _x(share: float) -> float:
    return _LEFT + share * (PANEL_WIDTH - _LEFT - _RIGHT)


def _y(value: float, ticks: Sequence[float]) -> float:
    share = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return PANEL_HEIGHT - _BOTTOM - share * (PANEL_HEIGHT - _TOP - _BOTTOM)


def _grid(ticks: Sequence[float], percent: bool = False) -> list[str]:
    parts = []
    for tick in ticks:
        y = _y(tick, ticks)
        text = f"{100 * tick:.4g} %" if percent else f"{tick:.4g}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{PANEL_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _title(text: str) -> str:
    return f'<text class="title" x="{_LEFT}" y="20">{escape(text)}</text>'


def _note(text: str) -> str:
    return f'<text x="{_LEFT}" y="{PANEL_HEIGHT / 2:.0f}">{escape(text)}</text>'


def _x_label(x: float, text: str, slanted: bool = False) -> str:
    y = PANEL_HEIGHT - _BOTTOM + 18
    if not slanted:
        return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'
    return (
        f'<text x="{x:.1f}" y="{y - 4}" text-anchor="end" transform="rotate(-30 {x:.1f} {y - 4})">{escape(text)}</text>'
    )


def _x_ends(right: int) -> list[str]:
    return [_x_label(_x(0), "0"), _x_label(_x(1) - 8, str(right))]
