"""The report of several finished runs: their figures, curves and panoramas side by side, from their files.

A row or a chart holds the numbers of one name alone; a run that has no number of that name has a dash.
"""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from eval.comparison import compared_rows, flat_settings, paired_section, settings_section, why_unpaired
from eval.figures import Figure, missed_line, not_computed_lines
from eval.finished import FinishedRun, ShownPanorama
from eval.report.charts import RUN_STYLES, Chart, Line, charts
from eval.report.page import INTERVALS_NOTE, REAL_NOTE
from eval.report.panoramas import PanoramaCard, panorama_cards
from eval.report.tables import Section

MAX_RUNS: Final = len(RUN_STYLES)


def check_together(runs: Sequence[FinishedRun]) -> None:
    """Refuse runs that no page can show side by side.

    Raises:
        ValueError: they are too many, or their panoramas grow by other windows.
    """
    if len(runs) > MAX_RUNS:
        raise ValueError(f"a report holds at most {MAX_RUNS} runs, got {len(runs)}; make several")
    first = runs[0]
    for run in runs[1:]:
        if run.record.geometry != first.record.geometry:
            told = [" ".join(map(str, each.record.geometry or ("none",))) + f" in {each.name}" for each in (first, run)]
            raise ValueError(
                f"runs of one report must share direction, window_px and stride_px, got {told[0]} and {told[1]}; "
                "report them apart"
            )


def sections_of(runs: Sequence[FinishedRun]) -> list[Section]:
    """Everything that the page and the Markdown tell.

    Raises:
        ValueError: see `check_together`; or a picture is missing or cannot be read.
    """
    check_together(runs)
    reason = why_unpaired(runs)
    if reason:
        paired = Section("Paired differences", (f"None: {reason}.",))
    else:
        paired = paired_section(compared_rows(runs), runs)
    rows = by_name(runs)
    return [
        _figures(runs, rows, shared=not reason),
        settings_section(runs),
        _panoramas(runs),
        _curves(runs),
        paired,
        Section("Definitions", defined=[next(filter(None, row)) for row in rows]),
        _made(runs),
    ]


def by_name(runs: Sequence[FinishedRun]) -> list[list[Figure | None]]:
    """The figures of one name of every run, in the order of the first; None where a run has none."""
    tables = [{figure.title: figure for figure in run.figures.values()} for run in runs]
    titles = dict.fromkeys(title for table in tables for title in table)
    return [[table.get(title) for table in tables] for title in titles]


def _figures(runs: Sequence[FinishedRun], rows: Sequence[Sequence[Figure | None]], *, shared: bool) -> Section:
    notes = [f"{run.name}: {run.record.subtitle}; {missed_line(run.figures.values())}." for run in runs]
    lacking: dict[str, list[str]] = {}
    for run in runs:
        for line in not_computed_lines(run.figures.values()):
            lacking.setdefault(line, []).append(run.name)
    notes += [f"{', '.join(names)}: {line}." for line, names in lacking.items()]
    differ = "" if shared else " Where the runs had other panoramas, it has several values, in the order of the runs."
    notes.append(f"{REAL_NOTE}{differ} {INTERVALS_NOTE} A dash: the run has no figure of that name.")
    headers = ("figure", "target", "real", *(run.name for run in runs))
    return Section("Figures", notes, headers, [_cells(row) for row in rows])


def _cells(row: Sequence[Figure | None]) -> tuple[str, ...]:
    first = next(figure for figure in row if figure is not None)
    target = row[0].target if row[0] else None
    real = dict.fromkeys(first.format(figure.real.value) for figure in row if figure and figure.real)
    goal = "-" if target is None else f"{target.relation} {first.format(target.value)}"
    return first.title, goal, " / ".join(real) or "-", *(_cell(figure) for figure in row)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    if figure.estimate is None:
        return "not computed"
    interval = figure.format_interval(figure.estimate)
    value = figure.format(figure.estimate.value) + ("" if interval == "-" else f" ({interval})")
    return f"{value}, MISSED" if figure.met is False else value


def _panoramas(runs: Sequence[FinishedRun]) -> Section:
    """The shown ones that all runs drew from the same window and captions."""
    shown: dict[str, tuple[FinishedRun, ShownPanorama]] = {}
    for run in runs:
        for each in run.record.shown:
            shown.setdefault(each.key, (run, each))
    kept = [run.panoramas for run in runs]
    same = {key for key in shown if all(key in each for each in kept) and len({each[key].inputs for each in kept}) == 1}
    cards = [
        PanoramaCard(
            key=key,
            global_caption=each.global_caption,
            captions=each.captions,
            pictures=[("real", owner.real(key)), *((run.name, run.drawn(key)) for run in runs)],
        )
        for key, (owner, each) in shown.items()
        if key in same
    ]
    note = (
        "Below or beside the real one those that were drawn from its first window and its captions. Marks at the edges "
        "are the borders of the steps (lines while the pointer is on the picture)."
    )
    if len(same) < len(shown):
        note += f" {len(shown) - len(same)} panoramas are left out, which not all runs drew from the same inputs."
    geometry = runs[0].record.geometry
    drawn = panorama_cards(cards, geometry) if geometry else Markup()
    return Section("Panoramas", (note,) if shown else (), drawn=drawn)


def _curves(runs: Sequence[FinishedRun]) -> Section:
    tables = [{figure.curve_title: figure for figure in run.figures.values() if figure.curve} for run in runs]
    titles = dict.fromkeys(title for table in tables for title in table)
    lines = {title: _lines([table.get(title) for table in tables], [run.name for run in runs]) for title in titles}
    drawn, rows = [], []
    steps = sorted({step for run in runs for step in run.record.table_steps})
    for title in titles:
        figure = next(table[title] for table in tables if title in table)
        top = 1.0 if figure.unit == "percent" else None
        target = None if figure.target is None else figure.target.value
        drawn.append(Chart(title, lines[title], "step", top, target))
        for index, line in enumerate(lines[title]):
            at = dict(zip(line.xs, line.ys, strict=True))
            told = [at.get(step) for step in steps]
            cells = ["-" if value is None else figure.format(value) for value in told]
            rows.append(("" if index else title, line.label, *cells))
    keys = [("real", "truth"), *zip((run.name for run in runs), RUN_STYLES, strict=False), ("target", "target")]
    headers = ("figure", "of", *(f"step {step}" for step in steps))
    return Section("Step by step", (), headers, rows, charts(drawn, keys), folded=True)


def _lines(row: Sequence[Figure | None], names: Sequence[str]) -> list[Line]:
    """The line of the real panoramas, or of those of the first run that has one, and a line for each run."""
    found = [(name, each) for name, each in zip(names, row, strict=True) if each]
    real = [(name, Line("real", "truth", each.steps, each.real_curve)) for name, each in found if each.real_curve]
    if len({tuple(line.ys) for _, line in real}) > 1:
        real = [(name, line._replace(label=f"real, of {name}")) for name, line in real]
    styles = dict(zip(names, RUN_STYLES, strict=False))
    drawn = [Line(name, styles[name], each.steps, each.curve) for name, each in found]
    return [*(line for _, line in real[:1]), *drawn]


def _made(runs: Sequence[FinishedRun]) -> Section:
    """What each run says of itself, and its whole configuration."""
    columns = [{**run.made, **{key: str(value) for key, value in flat_settings(run).items()}} for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [(key, *(column.get(key, "-") for column in columns)) for key in keys]
    return Section("How each was made", (), ("", *(run.name for run in runs)), rows)
