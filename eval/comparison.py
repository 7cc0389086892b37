"""Runs set against the first of them: what they share, where their settings differ, paired differences of figures.

Figures are those of one name alone: a name says how a number was made, and numbers of other names cannot be compared.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.figures import Figure
from eval.finished import FinishedRun
from eval.functional.bootstrap import Estimate
from eval.functional.paired import paired_difference
from eval.report.tables import Section

FEWEST_UNITS: Final = 6
"""Of fewer panoramas or prompts all may differ to one side by chance, more often than in one case of twenty."""

_SAME = ("steps", "curve_steps", "direction", "panoramas", "extractor", "sampling.seed", "seed")
"""Settings that runs must share, beside their inputs and those of the judge."""
_JUDGED = ("judge.", "rules.", "vqa", "clip", "format", "num_noun_phrases")
"""How the settings begin that say who judges, and how; runs must share them."""
_WITHOUT_EFFECT = ("config", "out", "shown", "loss_csv", "batch_size")

Sums = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Hits and how many were asked, ``(panoramas,)`` each; a mean has its items as what was asked."""


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
    """That of the first run."""
    others: Sequence[Difference]
    paired: bool
    """Whether the figure is kept per panorama, so that there are paired differences."""

    @property
    def first(self) -> float | None:
        """The value of the first run."""
        return value_of(self.figure)


def value_of(figure: Figure | None) -> float | None:
    """The value of a figure, if there is one that can be compared."""
    if figure is None or figure.estimate is None or not math.isfinite(figure.estimate.value):
        return None
    return figure.estimate.value


def why_unpaired(runs: Sequence[FinishedRun]) -> str:
    """Why runs cannot be set against each other panorama by panorama, in one line; empty where they can."""
    first = runs[0]
    settings, units = flat_settings(first), first.record.units
    judges = first.made.get("judges")
    for run in runs[1:]:
        if run.record.units != units:
            return f"runs must be of one kind, but {first.name} has {units} and {run.name} has {run.record.units}"
        others = flat_settings(run)
        judge = sorted(key for key in {*settings, *others} if key.startswith(_JUDGED))
        for key in (*_SAME, *judge):
            one, other = settings.get(key), others.get(key)
            if one != other:
                return f"runs must share --{key}, got {one} in {first.name} and {other} in {run.name}"
        # Runs from before the judges were kept say nothing of them.
        if None not in (judges, run.made.get("judges")) and judges != run.made["judges"]:
            return (
                f"runs must be judged by the same networks, but the probe or the evaluation CLIP of {run.name} has "
                f"other weights than that of {first.name}; score both with one --models"
            )
        apart = sorted(first.panoramas.keys() ^ run.panoramas.keys())
        if apart:
            return (
                f"runs must have the same {units}, but {first.name} and {run.name} differ in {len(apart)}, such as "
                f"{apart[0]}"
            )
        changed = [key for key, row in first.panoramas.items() if row.inputs != run.panoramas[key].inputs]
        if changed:
            return (
                f"runs must start from the same windows and captions, or prompts, but {first.name} and {run.name} "
                f"differ in those of {len(changed)} {units}, such as {changed[0]}; draw both from one set"
            )
    return ""


def flat_settings(run: FinishedRun) -> dict[str, Any]:
    """The configuration of a run with keys such as ``sampling.seed``."""
    return _flat(run.record.settings)


def differing_settings(runs: Sequence[FinishedRun]) -> dict[str, list[Any]]:
    """Settings in which runs differ, with the value in each run; those without effect on scores are left out."""
    settings = [flat_settings(run) for run in runs]
    keys = sorted({key for each in settings for key in each} - set(_WITHOUT_EFFECT))
    values = {key: [each.get(key) for each in settings] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def compared_rows(runs: Sequence[FinishedRun]) -> list[Row]:
    """Every figure of the first run in all runs, with paired differences where it is kept per panorama.

    Args:
        runs: for which `why_unpaired` finds nothing.
    """
    return [_row(figure, runs) for figure in runs[0].figures.values()]


def _row(figure: Figure, runs: Sequence[FinishedRun]) -> Row:
    panoramas = list(runs[0].panoramas)
    same = [own if (own := run.figures.get(figure.key)) and own.title == figure.title else None for run in runs]
    sums = [None if own is None else _sums(own.key, run, panoramas) for run, own in zip(runs, same, strict=True)]
    others = []
    for run, own, scores in zip(runs[1:], same[1:], sums[1:], strict=True):
        paired = None if sums[0] is None or scores is None else paired_difference(sums[0], scores)
        if paired is not None and own is not None and own.estimate is not None:
            # A quotient of two sums counts neither.
            paired = paired._replace(num_items=own.estimate.num_items)
        others.append(Difference(run.name, value_of(own), paired))
    return Row(figure, others, sums[0] is not None)


def _sums(key: str, run: FinishedRun, panoramas: Sequence[str]) -> Sums | None:
    """Of a figure that is kept per panorama; None of others. A panorama without it has nothing to count."""
    kept = run.panoramas
    ratios = [kept[panorama].ratios.get(key) for panorama in panoramas]
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


def settings_section(runs: Sequence[FinishedRun]) -> Section:
    """Settings that differ, a column per run."""
    rows = [
        (key, *("-" if value is None else str(value) for value in values))
        for key, values in differing_settings(runs).items()
    ]
    same = () if rows else ("None: the runs were made with the same settings.",)
    return Section("Settings that differ", same, ("setting", *(run.name for run in runs)), rows)


def paired_section(rows: Sequence[Row], runs: Sequence[FinishedRun]) -> Section:
    """Differences from the first run, a row for each figure of each other run."""
    first, units = runs[0].name, runs[0].record.units
    how = (
        f"Each run less {first}. Intervals: 95 %, bootstrap that draws the {units} of both runs together; they are "
        "not corrected for the number of figures. A difference is marked where its interval leaves out 0 and rests on "
        f"at least {FEWEST_UNITS} {units}."
    )
    return Section(
        "Paired differences",
        (how,),
        ("figure", "run", first, "value", "difference", "95 % interval", "differs", f"n ({units} / items)"),
        [_cells(row, difference) for row in rows if row.paired for difference in row.others],
    )


def whole_section(rows: Sequence[Row], runs: Sequence[FinishedRun]) -> Section:
    """Values of figures that are not kept per panorama, a column per run."""
    values = [(row.figure, [row.first, *(other.value for other in row.others)]) for row in rows if not row.paired]
    return Section(
        "Figures of the whole set",
        ("Not kept one by one, so there are no paired differences. A dash: the run has no figure of that name.",),
        ("figure", *(run.name for run in runs)),
        [(figure.title, *(_told(figure, value) for value in told)) for figure, told in values],
    )


def _cells(row: Row, difference: Difference) -> tuple[str, ...]:
    figure, estimate = row.figure, difference.estimate
    values = figure.title, difference.run, _told(figure, row.first), _told(figure, difference.value)
    if estimate is None:
        return *values, "nothing to score", "-", "-", "0 / 0"
    count = f"{estimate.num_units} / {estimate.num_items}"
    sign = "+" if estimate.value > 0 else ""
    told = sign + figure.format(estimate.value), figure.format_interval(estimate)
    return *values, *told, differs(estimate), count


def differs(estimate: Estimate) -> str:
    """Whether a difference is one: its interval leaves out 0, and rests on `FEWEST_UNITS` at least."""
    if estimate.low <= 0 <= estimate.high:
        return "no"
    return "yes" if estimate.num_units >= FEWEST_UNITS else "too few"


def _told(figure: Figure, value: float | None) -> str:
    return "-" if value is None else figure.format(value)
