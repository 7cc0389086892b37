"""The page of one finished run, from its files."""

from pathlib import Path

from yaml import safe_dump

from eval.finished import FinishedRun
from eval.outputs import write_page
from eval.report.page import Page
from eval.report.panoramas import PanoramaCard


def write_report(run: FinishedRun, out: Path) -> Page:
    """Write ``metrics.md`` and ``report.html`` of a run.

    Args:
        run: what is shown.
        out: the directory, see ``eval.files.check_out``.

    Raises:
        ValueError: a picture is missing or cannot be read.
    """
    page = page_of(run)
    write_page(out, page)
    return page


def page_of(run: FinishedRun) -> Page:
    """What the report of a run shows.

    Raises:
        ValueError: a picture is missing or cannot be read.
    """
    record = run.record
    return Page(
        title=run.title,
        subtitle=record.subtitle,
        figures=list(run.figures.values()),
        facts=run.made,
        config=safe_dump(record.settings, sort_keys=False, allow_unicode=True),
        cards=[
            PanoramaCard(
                key=shown.key,
                global_caption=shown.global_caption,
                captions=shown.captions,
                pictures=[("real", run.real(shown.key)), ("generated", run.drawn(shown.key))],
                notes=shown.notes,
            )
            for shown in record.shown
        ],
        geometry=record.geometry,
        loss=record.loss,
        table_steps=record.table_steps,
    )
