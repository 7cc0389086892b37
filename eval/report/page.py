"""The report page of one run: table, curves, panoramas with step borders and captions, definitions.

Every text that comes from data or configuration is escaped; pictures are PNG data URIs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from eval.figures import HEADERS, Figure, by_definition, curve_rows, missed_line, not_computed_lines
from eval.report.charts import Line, chart, legend, line_chart
from eval.report.html import data_uri, definition_list, document, notes, table
from eval.report.loss_curve import LossCurve
from eval.report.panoramas import PanoramaCard, panorama_cards
from lit_outpaint.heldout.walks import Geometry, Pixels

REAL_NOTE = '"real" is the same figure on the true pictures: the ceiling.'
INTERVALS_NOTE = "Intervals, 95 %: bootstrap over panoramas (windows, prompts); of slopes, t."


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report shows."""

    title: str
    subtitle: str
    figures: Sequence[Figure]
    facts: Mapping[str, str]
    """How the run was made: checkpoint, data, seed, versions, command."""
    config: str
    """The whole configuration, as YAML."""
    cards: Sequence[PanoramaCard] = ()
    geometry: Geometry | None = None
    """Needed with cards."""
    loss: LossCurve | None = None
    table_steps: Sequence[int] = ()
    """Steps at which curves are also told in numbers."""
    pictures: Sequence[tuple[str, Pixels]] = ()
    """Further pictures with their captions, for reports without panoramas."""


def render(page: Page) -> str:
    """The whole page as HTML."""
    sections = [
        ("Figures", _table(page.figures)),
        ("Panoramas", _panoramas(page)),
        ("Pictures", _pictures(page.pictures)),
        ("Step by step", _curves(page) if any(figure.curve for figure in page.figures) else ""),
        ("Training loss", "" if page.loss is None else _loss(page.loss)),
        ("Definitions", definition_list(by_definition(page.figures))),
        ("How it was made", _made(page)),
    ]
    return document(page.title, page.subtitle, sections)


def _table(figures: Sequence[Figure]) -> str:
    verdict = f'<p class="verdict">{escape(missed_line(figures))}</p>'
    rows = table(HEADERS, [figure.cells() for figure in figures], {"yes": "yes", "MISSED": "missed"})
    return f"{verdict}{notes(not_computed_lines(figures))}{rows}{notes([f'{REAL_NOTE} {INTERVALS_NOTE}'])}"


def _curves(page: Page) -> str:
    charts = []
    for figure in page.figures:
        if not figure.curve:
            continue
        lines = [Line("generated", "drawn", figure.steps, figure.curve)]
        if figure.real_curve:
            lines.insert(0, Line("real", "truth", figure.steps, figure.real_curve))
        target = None if figure.target is None else figure.target.value
        svg = line_chart(lines, "step", top=1.0 if figure.unit == "percent" else None, target=target)
        charts.append(chart(figure.curve_title, svg))
    keys = legend([("generated", "drawn"), ("real", "truth"), ("target", "target")])
    intro = f'<p class="note">{keys}Dots are the steps that were looked at.</p>'
    rows = curve_rows(page.figures, page.table_steps) if page.table_steps else []
    numbers = f"<h3>In numbers: generated (real)</h3>{table(rows[0], rows[1:])}" if rows else ""
    return f'{intro}<div class="charts">{"".join(charts)}</div>{numbers}'


def _loss(loss: LossCurve) -> str:
    svg = line_chart([Line("loss", "drawn", loss.steps, loss.losses)], "optimiser step")
    return f'<div class="charts">{chart("train/loss", svg)}</div>'


def _panoramas(page: Page) -> str:
    if not page.cards:
        return ""
    assert page.geometry is not None, "panoramas need their geometry"
    intro = (
        "Marks at the edges are the borders of the steps (lines while the pointer is on the picture); the first window "
        "is real in both. For each step: its number, its local caption, what the probe reads in the generated window, "
        "and in red what the truth has and the probe does not see."
    )
    return notes([intro]) + panorama_cards(page.cards, page.geometry)


def _pictures(pictures: Sequence[tuple[str, Pixels]]) -> str:
    items = "".join(
        f'<figure class="chart"><img alt="" style="width:100%" src="{data_uri(image)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, image in pictures
    )
    return f'<div class="charts">{items}</div>' if items else ""


def _made(page: Page) -> str:
    return table((), list(page.facts.items())) + f"<pre>{escape(page.config)}</pre>"
