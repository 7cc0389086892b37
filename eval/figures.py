"""A figure: a number with its definition, interval, count, target and the same number on real pictures."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from eval.functional.bootstrap import Estimate

Unit = Literal["percent", "plain", "count", "dB"]
DEFAULT_STEPS = (0, 1, 5, 10, 20)
"""Steps of curves."""
SLOPE_TITLE = ", slope per step"
"""How titles of slopes end."""


class Target(NamedTuple):
    """What a figure has to reach."""

    relation: Literal[">=", "<="]
    value: float

    def met_by(self, value: float) -> bool:
        """Whether a value reaches the target."""
        return value >= self.value if self.relation == ">=" else value <= self.value


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a report."""

    key: str
    """Short stable name, the key in ``metrics.json``."""
    title: str
    """One line for the table, with encoder, windows, stride and splits where they matter."""
    definition: str
    """How it is computed, in one or two sentences."""
    unit: Unit
    """How it is printed; the stored value is never scaled."""
    estimate: Estimate | None
    """Of what is scored; None when nothing could be asked (reported as such, never as 0)."""
    real: Estimate | None = None
    """The same number on real pictures: the ceiling."""
    target: Target | None = None
    """What it has to reach; None when it is only reported."""
    curve: tuple[float | None, ...] = ()
    """Value at each of the steps of the curve; None where nothing was asked at that step."""
    real_curve: tuple[float | None, ...] = ()
    """The same on real pictures; empty where there is none."""
    curve_steps: tuple[int, ...] = ()
    """Steps of the curve; 1, 2, ... when empty."""
    reason: str = ""
    """Why there is no value."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps of the curve."""
        return self.curve_steps or tuple(range(1, len(self.curve) + 1))

    @property
    def curve_title(self) -> str:
        """What the curve shows, also where the value is its slope or its last point."""
        return re.sub(rf"({SLOPE_TITLE}|, step \d+)$", "", self.title)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or without a value."""
        if self.target is None or self.estimate is None:
            return None
        return self.target.met_by(self.estimate.value)

    def format(self, value: float) -> str:
        """A value in the unit of the figure."""
        if self.unit == "percent":
            return f"{100 * value:.1f} %"
        if self.unit == "count":
            return f"{value:.0f}"
        return f"{value:.2f} dB" if self.unit == "dB" else _plain(value)

    def format_interval(self, estimate: Estimate) -> str:
        """The interval of an estimate, without the unit; a dash where it has none."""
        if self.unit == "count" or math.isnan(estimate.low):
            return "-"
        if self.unit == "plain":
            return f"{_plain(estimate.low)} .. {_plain(estimate.high)}"
        scale, digits = (100, 1) if self.unit == "percent" else (1, 2)
        return f"{scale * estimate.low:.{digits}f} .. {scale * estimate.high:.{digits}f}"

    def cells(self) -> tuple[str, ...]:
        """The row of the figure in every table, in the order of ``HEADERS``."""
        target = "-" if self.target is None else f"{self.target.relation} {self.format(self.target.value)}"
        met = {None: "-", True: "yes", False: "MISSED"}[self.met]
        real = "-" if self.real is None else self.format(self.real.value)
        if self.estimate is None:
            return self.title, "not computed", "-", real, target, met, "0 / 0"
        count = f"{self.estimate.num_units} / {self.estimate.num_items}"
        value, interval = self.format(self.estimate.value), self.format_interval(self.estimate)
        return self.title, value, interval, real, target, met, count

    def as_json(self) -> dict[str, Any]:
        """Everything there is to know, ready for ``json.dump``."""
        return {
            "name": self.title,
            "definition": self.definition,
            "unit": self.unit,
            "value": None,
            **({} if not self.reason else {"not_computed": self.reason}),
            **({} if self.estimate is None else _estimate_json(self.estimate)),
            "real": None if self.real is None else _estimate_json(self.real),
            "target": None if self.target is None else {"relation": self.target.relation, "value": self.target.value},
            "met": self.met,
            "curve": list(self.curve),
            "real_curve": list(self.real_curve),
            "curve_steps": list(self.steps),
        }

    @classmethod
    def from_json(cls, key: str, told: Mapping[str, Any]) -> "Figure":
        """The figure that `as_json` told of.

        Args:
            key: under which ``metrics.json`` holds it.
            told: what it holds.

        Raises:
            KeyError: something is missing.
        """
        real, target = told["real"], told["target"]
        return cls(
            key=key,
            title=told["name"],
            definition=told["definition"],
            unit=told["unit"],
            estimate=_estimate(told) if "num_units" in told else None,
            real=None if real is None else _estimate(real),
            target=None if target is None else Target(target["relation"], target["value"]),
            curve=tuple(told["curve"]),
            real_curve=tuple(told["real_curve"]),
            curve_steps=tuple(told["curve_steps"]),
            reason=told.get("not_computed", ""),
        )


HEADERS = ("figure", "value", "95 % interval", "real", "target", "met", "n (units / items)")


def markdown_table(figures: Sequence[Figure]) -> str:
    """The table as Markdown, without a trailing newline."""
    return markdown_rows([HEADERS, *(figure.cells() for figure in figures)])


def markdown_rows(rows: Sequence[Sequence[str]]) -> str:
    """Headers and rows as Markdown, a line each, without a trailing newline; nothing of nothing."""
    if not rows:
        return ""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def text_table(figures: Sequence[Figure]) -> str:
    """The table with aligned columns, for a terminal."""
    return aligned([HEADERS, *(figure.cells() for figure in figures)])


def curve_rows(figures: Iterable[Figure], steps: Sequence[int]) -> list[tuple[str, ...]]:
    """Headers and a row for each curve: its values at some steps, those of real panoramas in brackets."""
    rows = [("figure", *(f"step {step}" for step in steps))]
    for figure in figures:
        drawn, real = (dict(zip(figure.steps, line, strict=False)) for line in (figure.curve, figure.real_curve))
        if drawn:
            cells = [_told(figure, drawn.get(step), real.get(step)) for step in steps]
            rows.append((figure.curve_title, *cells))
    return rows if len(rows) > 1 else []


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Headers and rows with aligned columns; nothing of nothing."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(len(line) for line in lines), *lines[1:]])


def not_computed_lines(figures: Iterable[Figure]) -> list[str]:
    """One line for each figure without a value: why."""
    blank = [figure for figure in figures if figure.estimate is None]
    return [f"not computed: {figure.title}: {figure.reason or 'there is nothing to score'}" for figure in blank]


def by_definition(figures: Iterable[Figure]) -> dict[str, list[str]]:
    """Titles by definition: figures of one metric share theirs."""
    found: dict[str, list[str]] = {}
    for figure in figures:
        found.setdefault(figure.definition, []).append(figure.title)
    return found


def definitions(figures: Iterable[Figure]) -> str:
    """One Markdown list item per definition, with the titles of its figures."""
    return "\n".join(
        f"- **{'; '.join(titles)}**: {definition}" for definition, titles in by_definition(figures).items()
    )


def missed_line(figures: Iterable[Figure]) -> str:
    """One sentence that says which targets are missed, and which could not be asked at all."""
    asked = [figure for figure in figures if figure.target is not None]
    missed = [figure.title for figure in asked if figure.met is False]
    blank = [figure.title for figure in asked if figure.met is None]
    if not missed and not blank:
        return f"all {len(asked)} targets are met"
    parts = [f"{len(missed)} of {len(asked)} targets are missed: {'; '.join(missed)}"] if missed else []
    parts += [f"{len(blank)} of {len(asked)} could not be scored: {'; '.join(blank)}"] if blank else []
    return "; ".join(parts)


def _told(figure: Figure, drawn: float | None, real: float | None) -> str:
    cell = "-" if drawn is None else figure.format(drawn)
    return cell if real is None else f"{cell} ({figure.format(real)})"


def _plain(value: float) -> str:
    """Three digits behind the point, or two that count where these would be lost; what float64 rounds to 0 is 0."""
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.1 else f"{value:.2g}"


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    # JSON has no infinity; an infinite PSNR is told as null rather than as a number that it is not.
    low, high = (bound if math.isfinite(bound) else None for bound in (estimate.low, estimate.high))
    value = estimate.value if math.isfinite(estimate.value) else None
    return {
        "value": value,
        "interval_95": [low, high],
        "num_units": estimate.num_units,
        "num_items": estimate.num_items,
    }


def _estimate(told: Mapping[str, Any]) -> Estimate:
    """What `_estimate_json` told of; null is infinite in a value and above one, and no interval elsewhere."""
    low, high = told["interval_95"]
    above = math.nan if low is None else math.inf
    return Estimate(
        math.inf if told["value"] is None else told["value"],
        math.nan if low is None else low,
        above if high is None else high,
        told["num_units"],
        told["num_items"],
    )
