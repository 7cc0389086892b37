"""``python -m slurm collect``: one table, as text, Markdown and CSV, and a plot."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from lit_outpaint.system.files import written_whole
from slurm.plot import plot
from slurm.record import Record
from slurm.results import Results, gather


def collect(record: Record, figures: Sequence[str] | None = None) -> str:
    """Write ``results.csv``, ``results.md`` and ``results.svg`` beside the cells.

    Args:
        record: the sweep.
        figures: columns; those of the sweep's file when absent.

    Returns:
        The table for a terminal, the cells that are missing, and where the files are.

    Raises:
        ValueError: no cell has a figure.
    """
    results = gather(record, figures)
    _write(record.directory / "results.csv", tidy_csv(results))
    _write(record.directory / "results.md", markdown(record, results))
    _write(record.directory / "results.svg", plot(results))
    lines = [text_table(results), "", missing_line(results)]
    return "\n".join([*lines, f"written: {record.directory}/results.csv, results.md, results.svg"])


def table(results: Results) -> list[list[str]]:
    """Head and rows: the labels of the grid, the number of runs, then one column a figure."""
    axes = list(results.rows[0].labels) if results.rows else []
    body = []
    for row in results.rows:
        counts = sorted({summary.runs for summary in row.summaries.values()}) or [0]
        runs = str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
        cells = [results.cell(row, figure) for figure in results.figures]
        body.append([*(row.labels.get(axis, "-") for axis in axes), runs, *cells])
    return [[*axes, "runs", *results.figures], *body]


def text_table(results: Results) -> str:
    """The table with aligned columns."""
    rows = table(results)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown(record: Record, results: Results) -> str:
    """The table with what its figures mean and which cells are missing."""
    head, *body = table(results)
    rows = [head, ["---"] * len(head), *body]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    meanings = [f"- **{figure}**: {results.titles.get(figure, figure)}" for figure in results.figures]
    notes = ["Mean over runs, with half of the 95 % Student interval of the mean where there is more than one run."]
    title = f"# Sweep {record.name}"
    return "\n".join([title, "", *lines, "", *notes, "", *meanings, "", f"{missing_line(results)}.", ""])


def missing_line(results: Results) -> str:
    """One sentence that names the cells that are missing."""
    if not results.missing:
        return "no cell is missing"
    return f"{len(results.missing)} cells are missing: {'; '.join(results.missing)}"


def tidy_csv(results: Results) -> str:
    """One line per combination and figure, for whatever reads tables; a figure without a value has empty cells."""
    axes = list(results.rows[0].labels) if results.rows else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*axes, "figure", "mean", "low_95", "high_95", "runs"])
    for row in results.rows:
        for figure in results.figures:
            summary = row.summaries.get(figure)
            numbers = ["", "", "", 0] if summary is None else [summary.mean, summary.low, summary.high, summary.runs]
            writer.writerow([*(row.labels.get(axis, "") for axis in axes), figure, *numbers])
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
