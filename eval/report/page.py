"""The report page: table, curves, panoramas with step borders and captions, definitions. Self-contained HTML.

Every text that comes from data or configuration is escaped; pictures are PNG data URIs.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from PIL import Image

from eval.figures import HEADERS, Figure, by_definition, curve_rows, missed_line, not_computed_lines
from eval.report.charts import Line, line_chart
from eval.report.loss_curve import LossCurve
from eval.report.style import STYLE
from lit_outpaint.rollout import Geometry, Pixels

_MAX_COLUMNS = 13


class Note(NamedTuple):
    """What was read in one view, and what of the truth is missing there."""

    text: str
    missing: str
    """Empty when nothing is missing."""


@dataclass(frozen=True, kw_only=True)
class PanoramaCard:
    """One panorama of the report, real above generated."""

    key: str
    global_caption: str
    captions: Sequence[str]
    """Of the start window, then of every step."""
    real: Pixels
    generated: Pixels
    notes: Sequence[Note]
    """Of every step, about the generated window."""


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
        f"<h1>{escape(page.title)}</h1><p class='note'>{escape(page.subtitle)}</p>",
        _section("Figures", _table(page.figures)),
        _section("Panoramas", _cards(page)) if page.cards else "",
        _section("Pictures", _pictures(page.pictures)) if page.pictures else "",
        _section("Step by step", _curves(page)) if any(f.curve for f in page.figures) else "",
        _section("Training loss", _loss(page.loss)) if page.loss else "",
        _section("Definitions", _definitions(page.figures)),
        _section("How it was made", _made(page)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def data_uri(image: Pixels) -> str:
    """A picture ``(H, W, 3)`` as a PNG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _section(title: str, body: str) -> str:
    return f"\n<section><h2>{escape(title)}</h2>{body}</section>"


def _table(figures: Sequence[Figure]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADERS)
    rows = []
    for figure in figures:
        cells = [f"<td>{escape(cell)}</td>" for cell in figure.cells()]
        met = HEADERS.index("met")
        style = {None: "", True: "yes", False: "missed"}[figure.met]
        cells[met] = f'<td class="{style}">{escape(figure.cells()[met])}</td>'
        rows.append(f"<tr>{''.join(cells)}</tr>")
    verdict = f'<p class="verdict">{escape(missed_line(figures))}</p>'
    blank = "".join(f'<p class="note">{escape(line)}</p>' for line in not_computed_lines(figures))
    note = (
        '<p class="note">"real" is the same figure on the true pictures: the ceiling. Intervals, 95 %: bootstrap over '
        "panoramas; of slopes, t.</p>"
    )
    return f'{verdict}{blank}<div class="table"><table><tr>{head}</tr>{"".join(rows)}</table></div>{note}'


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
        charts.append(f'<figure class="chart"><figcaption>{escape(figure.curve_title)}</figcaption>{svg}</figure>')
    keys = (
        '<p class="note"><span class="key">generated</span> &nbsp; <span class="key truth">real</span> &nbsp; '
        '<span class="key goal">target</span> &nbsp; Dots are the steps that were looked at.</p>'
    )
    rows = curve_rows(page.figures, page.table_steps) if page.table_steps else []
    table = f"<h3>In numbers: generated (real)</h3>{_rows(rows)}" if rows else ""
    return f'{keys}<div class="charts">{"".join(charts)}</div>{table}'


def _rows(rows: Sequence[Sequence[str]]) -> str:
    """Headers and rows."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'


def _loss(loss: LossCurve | None) -> str:
    assert loss is not None
    chart = line_chart([Line("loss", "drawn", loss.steps, loss.losses)], "optimiser step")
    return f'<div class="charts"><figure class="chart"><figcaption>train/loss</figcaption>{chart}</figure></div>'


def _cards(page: Page) -> str:
    geometry = page.geometry
    assert geometry is not None, "panoramas need their geometry"
    intro = (
        '<p class="note">Marks at the edges are the borders of the steps (lines while the pointer is on the picture); '
        "the first window is real in both. For each step: its number, its local caption, what the probe reads in the "
        "generated window, and in red what the truth has and the probe does not see.</p>"
    )
    draw = _across if geometry.horizontal else _along
    return intro + "".join(draw(card, geometry) for card in page.cards)


def _across(card: PanoramaCard, geometry: Geometry) -> str:
    """Real above generated, captions in columns under their strips, or in lines where these would be too narrow."""
    order = slice(None) if geometry.forward else slice(None, None, -1)
    if len(card.captions) > _MAX_COLUMNS:
        return _stacked(card, geometry, "repeat(auto-fill, minmax(190px, 1fr))", slice(None))
    stride = [f"{geometry.stride_px}fr"] * len(card.notes)
    return _stacked(card, geometry, " ".join([f"{geometry.window_px}fr", *stride][order]), order)


def _stacked(card: PanoramaCard, geometry: Geometry, columns: str, order: slice) -> str:
    cells = "".join([_caption(card, index) for index in range(len(card.captions))][order])
    return (
        f'<div class="panorama">{_heading(card)}<p class="which">real</p>{_stripe(card.real, geometry)}'
        f'<p class="which">generated</p>{_stripe(card.generated, geometry)}'
        f'<div class="row" style="grid-template-columns:{columns}">{cells}</div></div>'
    )


def _along(card: PanoramaCard, geometry: Geometry) -> str:
    """Real beside generated, captions in a list in reading order from the top."""
    order = slice(None) if geometry.forward else slice(None, None, -1)
    items = "".join([_caption(card, index) for index in range(len(card.captions))][order])
    return (
        f'<div class="panorama">{_heading(card)}<div class="columns"><div><p class="which">real</p>'
        f"{_stripe(card.real, geometry)}</div>"
        f'<div><p class="which">generated</p>{_stripe(card.generated, geometry)}</div>'
        f'<div class="row">{items}</div></div></div>'
    )


def _heading(card: PanoramaCard) -> str:
    return f'<h3>{escape(card.key)}</h3><p class="note">{escape(card.global_caption)}</p>'


def _stripe(image: Pixels, geometry: Geometry) -> str:
    """A picture with a line at the border of every step, placed in percent so that it scales along."""
    length = image.shape[1] if geometry.horizontal else image.shape[0]
    num_steps = (length - geometry.window_px) // geometry.stride_px
    side = (
        ("left" if geometry.forward else "right") if geometry.horizontal else ("top" if geometry.forward else "bottom")
    )
    borders = "".join(
        f'<i style="{side}:{100 * geometry.length(step) / length:.4f}%"></i>' for step in range(num_steps)
    )
    kind = "across" if geometry.horizontal else "along"
    return f'<div class="stripe {kind}"><img alt="" src="{data_uri(image)}">{borders}</div>'


def _caption(card: PanoramaCard, index: int) -> str:
    name = "start" if index == 0 else f"{index}"
    note = ""
    if index > 0:
        read = card.notes[index - 1]
        missing = f' <span class="bad">{escape(read.missing)}</span>' if read.missing else ""
        note = f'<br><span class="read">{escape(read.text)}{missing}</span>'
    return f"<div><b>{name}</b> {escape(card.captions[index])}{note}</div>"


def _pictures(pictures: Sequence[tuple[str, Pixels]]) -> str:
    items = "".join(
        f'<figure class="chart"><img alt="" style="width:100%" src="{data_uri(image)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, image in pictures
    )
    return f'<div class="charts">{items}</div>'


def _definitions(figures: Sequence[Figure]) -> str:
    rows = (
        f"<dt>{'<br>'.join(map(escape, titles))}</dt><dd>{escape(definition)}</dd>"
        for definition, titles in by_definition(figures).items()
    )
    return f"<dl>{''.join(rows)}</dl>"


def _made(page: Page) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in page.facts.items())
    return f'<div class="table"><table>{rows}</table></div><pre>{escape(page.config)}</pre>'
