"""The report page of one run: table, curves, panoramas with step borders and captions, definitions.

Templates escape every text; pictures are PNG data URIs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.figures import HEADERS, Figure, by_definition, curve_rows, missed_line, not_computed_lines
from eval.report.charts import Chart, Line, charts
from eval.report.loss_curve import LossCurve
from eval.report.panoramas import PanoramaCard, panorama_cards
from eval.report.pictures import data_uri
from lit_outpaint.heldout.walks import Geometry, Pixels
from lit_outpaint.system.templates import template

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
    return template(__package__, "run.html").render(
        title=page.title,
        subtitle=page.subtitle,
        verdict=missed_line(page.figures),
        not_computed=not_computed_lines(page.figures),
        headers=HEADERS,
        rows=[figure.cells() for figure in page.figures],
        rows_note=f"{REAL_NOTE} {INTERVALS_NOTE}",
        panoramas=_panoramas(page),
        captioned=[(caption, data_uri(image)) for caption, image in page.pictures],
        curves=_curves(page.figures),
        curve_rows=curve_rows(page.figures, page.table_steps) if page.table_steps else (),
        loss=Markup() if page.loss is None else _loss(page.loss),
        titles=by_definition(page.figures),
        facts=list(page.facts.items()),
        config=page.config,
    )


def _panoramas(page: Page) -> Markup:
    if not page.cards:
        return Markup()
    assert page.geometry is not None, "panoramas need their geometry"
    return panorama_cards(page.cards, page.geometry)


def _curves(figures: Sequence[Figure]) -> Markup:
    drawn = []
    for figure in figures:
        if not figure.curve:
            continue
        lines = [Line("generated", "drawn", figure.steps, figure.curve)]
        if figure.real_curve:
            lines.insert(0, Line("real", "truth", figure.steps, figure.real_curve))
        target = None if figure.target is None else figure.target.value
        top = 1.0 if figure.unit == "percent" else None
        drawn.append(Chart(figure.curve_title, lines, "step", top, target))
    keys = [("generated", "drawn"), ("real", "truth"), ("target", "target")]
    return charts(drawn, keys, "Dots are the steps that were looked at.")


def _loss(loss: LossCurve) -> Markup:
    return charts([Chart("train/loss", [Line("loss", "drawn", loss.steps, loss.losses)], "optimiser step")])
