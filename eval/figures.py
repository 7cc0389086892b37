"""A figure: a number with its definition, interval, count, target and the same number on real pictures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from eval.functional.bootstrap import Estimate

Unit = Literal["percent", "plain", "count", "dB"]


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
    """Value at step 1, 2, ...; None where nothing was asked at that step."""
    real_curve: tuple[float | None, ...] = ()
    """The same on real pictures."""

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
        return f"{value:.2f} dB" if self.unit == "dB" else f"{value:.3f}"

    def format_interval(self, estimate: Estimate) -> str:
        """The interval of an estimate, without the unit."""
        if self.unit == "count":
            return "-"
        scale, digits = (100, 1) if self.unit == "percent" else (1, 2 if self.unit == "dB" else 3)
        return f"{scale * estimate.low:.{digits}f} .. {scale * estimate.high:.{digits}f}"

    def cells(self) -> tuple[str, ...]:
        """The row of the figure in every table, in the order of ``HEADERS``."""
        target = "-" if self.target is None else f"{self.target.relation} {self.format(self.target.value)}"
        met = {None: "-", True: "yes", False: "MISSED"}[self.met]
        real = "-" if self.real is None else self.format(self.real.value)
        if self.estimate is None:
            return self.title, "nothing to score", "-", real, target, met, "0 / 0"
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
            **({} if self.estimate is None else _estimate_json(self.estimate)),
            "real": None if self.real is None else _estimate_json(self.real),
            "target": None if self.target is None else {"relation": self.target.relation, "value": self.target.value},
            "met": self.met,
            "curve": list(self.curve),
            "real_curve": list(self.real_curve),
        }


HEADERS = ("figure", "value", "95 % interval", "real", "target", "met", "n (units / items)")


def markdown_table(figures: Sequence[Figure]) -> str:
    """The table as Markdown, without a trailing newline."""
    rows = [HEADERS, tuple("---" for _ in HEADERS), *(figure.cells() for figure in figures)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def text_table(figures: Sequence[Figure]) -> str:
    """The table with aligned columns, for a terminal."""
    rows = [HEADERS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADERS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(len(line) for line in lines), *lines[1:]])


def definitions(figures: Iterable[Figure]) -> str:
    """One Markdown list item per figure: its title and its definition."""
    return "\n".join(f"- **{figure.title}**: {figure.definition}" for figure in figures)


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
