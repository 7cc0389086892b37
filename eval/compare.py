"""``python -m eval compare``: paired differences between runs of ``eval run`` on the same panoramas and seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from eval.figures import Figure, Unit
from eval.files import check_out, write_text
from eval.functional.bootstrap import Estimate
from eval.functional.paired import paired_difference
from eval.report.tables import Section, tables_html, tables_markdown

COMPARISON_VERSION = 1
_SAME = ("steps", "direction", "panoramas", "sampling.seed")
"""Settings that runs must share, beside their inputs and the thresholds of the judge."""
_WITHOUT_EFFECT = ("config", "out", "shown", "loss_csv", "batch_size")

Sums = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Hits and how many were asked, ``(panoramas,)`` each; a mean has its items as what was asked."""


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Which runs are compared."""

    runs: list[Path] = field(
        metadata={"many": "runs", "help": "Output directories of eval run; the others are set against the first."}
    )
    out: Path
    """Directory for comparison.json, comparison.md and comparison.html."""

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ValueError(f"compare needs at least two runs, got {len(self.runs)}; name further directories")


class ComparedRun(NamedTuple):
    """What is read of a run."""

    name: str
    settings: Mapping[str, Any]
    """Flat: ``sampling.seed`` and the like."""
    figures: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, Mapping[str, Any]]
    """Per-panorama scores by key."""


class Difference(NamedTuple):
    """One run against the first in one figure."""

    run: str
    value: float | None
    """The run's own value."""
    estimate: Estimate | None
    """Its value less that of the first run; None where nothing was asked, or the figure is one of the whole set."""


class Row(NamedTuple):
    """One figure over all runs."""

    figure: Figure
    """Name, definition and unit; its estimate is left out."""
    first: float | None
    others: Sequence[Difference]
    paired: bool
    """Whether the figure is kept per panorama, so that there are paired differences."""


def compare(config: CompareConfig, yaml: str = "") -> list[Row]:
    """Compare runs and write the three files.

    Args:
        config: what to do.
        yaml: not used; verbs share a signature.

    Raises:
        ValueError: a run cannot be read, or inputs, seeds or thresholds differ.
    """
    names = _names(config.runs)
    runs = [read_run(directory, name) for directory, name in zip(config.runs, names, strict=True)]
    check_same(runs)
    check_out(config.out)
    rows = [row_of(key, runs) for key in runs[0].figures]
    settings = differing_settings(runs)
    sections = _sections(runs, settings, rows)
    title = f"Comparison with {runs[0].name}"
    subtitle = f"{len(runs)} runs on the same {len(runs[0].rows)} panoramas with the same seed"
    content = {
        "schema": COMPARISON_VERSION,
        "runs": [{"name": run.name, "directory": str(path)} for run, path in zip(runs, config.runs, strict=True)],
        "settings_that_differ": settings,
        "figures": {row.figure.key: _as_json(row) for row in rows},
    }
    write_text(config.out / "comparison.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(config.out / "comparison.md", tables_markdown(title, subtitle, sections))
    write_text(config.out / "comparison.html", tables_html(title, subtitle, sections))
    print(tables_markdown(title, subtitle, sections[:3]))
    print(f"report: {config.out / 'comparison.html'}")
    return rows


def read_run(directory: Path, name: str) -> ComparedRun:
    """Read ``metrics.json`` of a run.

    Raises:
        ValueError: it is missing, damaged, or keeps no scores per panorama.
    """
    file = directory / "metrics.json"
    if not file.is_file():
        raise ValueError(f"a run must be an output directory of eval run, but {directory} holds no metrics.json")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = {row["key"]: row for row in content["per_panorama"]}
        complete = bool(rows) and all("inputs" in row and "ratios" in row for row in rows.values())
        settings, figures = _flat(content["settings"]), content["figures"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} must have scores per panorama and settings ({error!r}); do that run again") from error
    if not complete:
        raise ValueError(f"{file} must have scores and inputs of every panorama; do that run again")
    return ComparedRun(name, settings, figures, rows)


def check_same(runs: Sequence[ComparedRun]) -> None:
    """Refuse runs that cannot be set against each other.

    Raises:
        ValueError: seeds, steps, thresholds, panoramas or their inputs differ.
    """
    first = runs[0]
    for run in runs[1:]:
        judge = sorted(key for key in {*first.settings, *run.settings} if key.startswith("judge."))
        for key in (*_SAME, *judge):
            one, other = first.settings.get(key), run.settings.get(key)
            if one != other:
                raise ValueError(f"runs must share --{key}, got {one} in {first.name} and {other} in {run.name}")
        apart = sorted(first.rows.keys() ^ run.rows.keys())
        if apart:
            raise ValueError(
                f"runs must have the same panoramas, but {first.name} and {run.name} differ in {len(apart)}, such as "
                f"{apart[0]}"
            )
        changed = [key for key in first.rows if first.rows[key]["inputs"] != run.rows[key]["inputs"]]
        if changed:
            raise ValueError(
                f"runs must start from the same windows and captions, but {first.name} and {run.name} differ in those "
                f"of {len(changed)} panoramas, such as {changed[0]}; draw both from one evaluation set"
            )


def differing_settings(runs: Sequence[ComparedRun]) -> dict[str, list[Any]]:
    """Settings in which runs differ, with the value in each run; those without effect on scores are left out."""
    keys = sorted({key for run in runs for key in run.settings} - set(_WITHOUT_EFFECT))
    values = {key: [run.settings.get(key) for run in runs] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def row_of(key: str, runs: Sequence[ComparedRun]) -> Row:
    """One figure of all runs, with paired differences where it is kept per panorama."""
    told = runs[0].figures[key]
    figure = Figure(
        key=key, title=told["name"], definition=told["definition"], unit=cast(Unit, told["unit"]), estimate=None
    )
    sums = [_sums(key, run, list(runs[0].rows)) for run in runs]
    others = []
    for run, scores in zip(runs[1:], sums[1:], strict=True):
        paired = None if sums[0] is None or scores is None else paired_difference(sums[0], scores)
        value, items = (run.figures.get(key, {}).get(what) for what in ("value", "num_items"))
        if paired is not None and items is not None:
            paired = paired._replace(num_items=items)  # A quotient of two sums counts neither.
        others.append(Difference(run.name, value, paired))
    return Row(figure, told["value"], others, sums[0] is not None)


def _sums(key: str, run: ComparedRun, panoramas: Sequence[str]) -> Sums | None:
    """Of a figure that is kept per panorama; None of others. A panorama without it has nothing to count."""
    ratios = [run.rows[panorama]["ratios"].get(key) for panorama in panoramas]
    if not any(ratios):
        return None
    table = np.array([ratio or (0.0, 0.0) for ratio in ratios], dtype=np.float64)
    return table[:, 0], table[:, 1]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _names(runs: Sequence[Path]) -> list[str]:
    """Names of the directories where these tell the runs apart, whole paths elsewhere."""
    short = [run.resolve().name for run in runs]
    return short if len(set(short)) == len(runs) else [str(run) for run in runs]


def _sections(runs: Sequence[ComparedRun], settings: Mapping[str, Sequence[Any]], rows: Sequence[Row]) -> list[Section]:
    names = [run.name for run in runs]
    settings_rows = [(key, *("-" if value is None else str(value) for value in row)) for key, row in settings.items()]
    paired = [_cells(row, difference) for row in rows if row.paired for difference in row.others]
    whole = [
        (row.figure.title, *(_told(row.figure, value) for value in (row.first, *(other.value for other in row.others))))
        for row in rows
        if not row.paired
    ]
    return [
        Section(
            "Settings that differ",
            () if settings_rows else ("None: the runs were made with the same settings.",),
            ("setting", *names),
            settings_rows,
        ),
        Section(
            "Paired differences",
            (
                f"Each run less {names[0]}. Intervals: 95 %, bootstrap that draws the panoramas of both runs together; "
                "they are not corrected for the number of figures. A difference is marked where its interval leaves "
                "out 0.",
            ),
            ("figure", "run", names[0], "value", "difference", "95 % interval", "differs", "n (panoramas / items)"),
            paired,
        ),
        Section(
            "Figures of the whole set",
            ("Not kept per panorama, so there are no paired differences.",),
            ("figure", *names),
            whole,
        ),
        Section("Definitions", [f"{row.figure.title}: {row.figure.definition}" for row in rows]),
    ]


def _cells(row: Row, difference: Difference) -> tuple[str, ...]:
    figure, estimate = row.figure, difference.estimate
    values = figure.title, difference.run, _told(figure, row.first), _told(figure, difference.value)
    if estimate is None:
        return *values, "nothing to score", "-", "-", "0 / 0"
    count = f"{estimate.num_units} / {estimate.num_items}"
    sign = "+" if estimate.value > 0 else ""
    mark = "yes" if _differs(estimate) else "no"
    return *values, sign + figure.format(estimate.value), figure.format_interval(estimate), mark, count


def _differs(estimate: Estimate) -> bool:
    return estimate.low > 0 or estimate.high < 0


def _told(figure: Figure, value: float | None) -> str:
    return "-" if value is None else figure.format(value)


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.figure.title,
        "definition": row.figure.definition,
        "unit": row.figure.unit,
        "first": row.first,
        "others": [
            {"run": other.run, "value": other.value}
            | (
                {"difference": None}
                if other.estimate is None
                else {
                    "difference": other.estimate.value,
                    "interval_95": [other.estimate.low, other.estimate.high],
                    "num_units": other.estimate.num_units,
                    "num_items": other.estimate.num_items,
                }
            )
            for other in row.others
        ],
    }
