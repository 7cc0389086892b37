"""What the cells of a sweep scored: read from ``metrics.csv`` and from the evaluation, summed up over seeds."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from slurm.intervals import Summary, summarise
from slurm.record import Cell, Record

CURVE_TAIL = 0.1
"""Share of a training curve, at its end, that its value is the mean of: one batch more or less must not decide."""


class Row(NamedTuple):
    """One combination of the grid."""

    name: str
    """Its labels in one word."""
    labels: dict[str, str]
    """Label by axis."""
    values: dict[str, list[float]]
    """Figure -> value of each run that has it, in the order of the seeds."""
    summaries: dict[str, Summary]
    """Figure -> mean and interval; figures that no run has are left out."""


class Results(NamedTuple):
    """A sweep in numbers."""

    figures: list[str]
    """Columns."""
    titles: dict[str, str]
    """What a figure is, in the words of the evaluation; its key where nobody says more."""
    units: dict[str, str]
    """percent, plain, count or dB, as the evaluation names them."""
    rows: list[Row]
    """In the order of the grid."""
    missing: list[str]
    """One line per cell that lacks something: its name and what."""

    def format(self, figure: str, value: float) -> str:
        """A value in the unit of its figure."""
        return f"{100 * value:.1f} %" if self.units.get(figure) == "percent" else f"{value:.4g}"

    def cell(self, row: Row, figure: str) -> str:
        """Mean and half of the interval, as the tables show them."""
        if (summary := row.summaries.get(figure)) is None:
            return "-"
        text = self.format(figure, summary.mean)
        return text if summary.half_width is None else f"{text} +- {self.format(figure, summary.half_width)}"


def gather(record: Record, figures: Sequence[str] | None = None) -> Results:
    """Read everything that is there.

    Args:
        record: the sweep.
        figures: columns; those of the sweep's file when absent.

    Raises:
        ValueError: a figure is in no cell although there are results; the message lists what there is.
    """
    wanted = list(figures or record.report)
    read = {cell.name: read_values(record.run_dir(cell)) for cell in record.cells}
    known = {figure for values in read.values() for figure in values}
    if figures and known and (unknown := [figure for figure in figures if figure not in known]):
        raise ValueError(f"no cell has the figure {unknown[0]!r}; there are {', '.join(sorted(known))}")
    titles: dict[str, str] = {}
    units: dict[str, str] = {}
    for cell in record.cells:
        for key, figure in read_figures(record.run_dir(cell)).items():
            titles[key], units[key] = str(figure.get("name", key)), str(figure.get("unit", "plain"))
    return Results(wanted, titles, units, _rows(record, wanted, read), _missing(record, wanted, read))


def read_values(run_dir: Path) -> dict[str, float]:
    """Every figure of a run.

    A column of ``metrics.csv`` counts with its last value, one of training with the mean of its last tenth. One that
    ends in something that is no number is left out: the run diverged, and its last good value says nothing of it.
    """
    values, ends = {}, {name: rows[-1][1] for name, rows in _columns(run_dir / "metrics.csv").items()}
    for name, curve in read_curves(run_dir / "metrics.csv").items():
        if not math.isfinite(ends[name]):
            continue
        tail = curve[-max(1, round(CURVE_TAIL * len(curve))) :] if name.startswith("train/") else curve[-1:]
        values[name] = math.fsum(value for _, value in tail) / len(tail)
    scored = {key: figure.get("value") for key, figure in read_figures(run_dir).items()}
    return values | {key: float(value) for key, value in scored.items() if value is not None}


def read_curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Column -> (step, value) of a ``metrics.csv``; empty when there is none. What is no number is left out."""
    finite = {name: [row for row in rows if math.isfinite(row[1])] for name, rows in _columns(path).items()}
    return {name: rows for name, rows in finite.items() if rows}


def _columns(path: Path) -> dict[str, list[tuple[int, float]]]:
    columns: dict[str, list[tuple[int, float]]] = defaultdict(list)
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            # Of a run that was killed, or still writes, the last row may be torn.
            for line in csv.DictReader(row for row in file if row.endswith("\n")):
                for name, text in line.items():
                    if name and text and "/" in name and (line.get("step") or "").isdigit():
                        columns[name].append((int(line["step"]), _number(path, text)))
    return columns


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{path} must hold numbers, but is damaged at {text[:40]!r}; train the run again") from error


def read_figures(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The figures of ``eval/metrics.json`` by key; empty when there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = run_dir / "eval" / "metrics.json"
    if not path.is_file():
        return {}
    try:
        figures: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} must be written by python -m eval, but is damaged; remove it to score again"
        ) from error
    return figures


def combinations(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by combination, seeds together, in the order of the sweep."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault("-".join(cell.labels.values()) or "base", []).append(cell)
    return groups


def _rows(record: Record, figures: Sequence[str], read: dict[str, dict[str, float]]) -> list[Row]:
    rows = []
    for name, cells in combinations(record.cells).items():
        values = {
            figure: [read[cell.name][figure] for cell in cells if figure in read[cell.name] and _whole(record, cell)]
            for figure in figures
        }
        summaries = {figure: summarise(some) for figure, some in values.items() if some}
        rows.append(Row(name, cells[0].labels, values, summaries))
    return rows


def _whole(record: Record, cell: Cell) -> bool:
    """Whether a cell's figures are final: those of a run that still trains would be compared with finished ones."""
    return "train" not in cell.stages or record.done(cell, "train")


def _missing(record: Record, figures: Sequence[str], read: dict[str, dict[str, float]]) -> list[str]:
    lines = []
    for cell in record.cells:
        lacking: list[str] = [stage for stage in cell.stages if not record.done(cell, stage)]
        if not lacking:
            ends = {name: rows[-1][1] for name, rows in _columns(record.run_dir(cell) / "metrics.csv").items()}
            lacking = [
                f"{figure}, which ended as {ends[figure]}" if figure in ends else figure
                for figure in figures
                if figure not in read[cell.name]
            ]
        if lacking:
            lines.append(f"{cell.name} (lacks {', '.join(lacking)})")
    return lines
