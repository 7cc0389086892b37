"""Panoramas on a page: the pictures of one key below or beside each other, with step borders and captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from eval.report.html import data_uri
from lit_outpaint.heldout.walks import Geometry, Pixels

_MAX_COLUMNS = 13


class Note(NamedTuple):
    """What was read in one view, and what of the truth is missing there."""

    text: str
    missing: str
    """Empty when nothing is missing."""


@dataclass(frozen=True, kw_only=True)
class PanoramaCard:
    """One panorama of a report."""

    key: str
    global_caption: str
    captions: Sequence[str]
    """Of the start window, then of every step."""
    pictures: Sequence[tuple[str, Pixels]]
    """What each is called, and the picture; the real one comes first."""
    notes: Sequence[Note] = ()
    """Of every step, about the drawn window; empty without any."""


def panorama_cards(cards: Sequence[PanoramaCard], geometry: Geometry) -> str:
    """The markup of all cards."""
    across = geometry.horizontal
    return "".join(_across(card, geometry) if across else _along(card, geometry) for card in cards)


def _across(card: PanoramaCard, geometry: Geometry) -> str:
    """Pictures below each other, captions in columns under their strips, or in lines where these are too narrow."""
    pictures = "".join(
        f'<p class="which">{escape(name)}</p>{_stripe(picture, geometry)}' for name, picture in card.pictures
    )
    if len(card.captions) > _MAX_COLUMNS:
        columns, cells = "repeat(auto-fill, minmax(190px, 1fr))", _captions(card)
    else:
        widths = [f"{geometry.window_px}fr", *[f"{geometry.stride_px}fr"] * (len(card.captions) - 1)]
        columns, cells = " ".join(_as_drawn(widths, geometry)), _as_drawn(_captions(card), geometry)
    row = f'<div class="row" style="grid-template-columns:{columns}">{"".join(cells)}</div>'
    return f'<div class="panorama">{_heading(card)}{pictures}{row}</div>'


def _along(card: PanoramaCard, geometry: Geometry) -> str:
    """Pictures beside each other, captions in a list in reading order from the top."""
    pictures = "".join(
        f'<div><p class="which">{escape(name)}</p>{_stripe(picture, geometry)}</div>' for name, picture in card.pictures
    )
    items = "".join(_as_drawn(_captions(card), geometry))
    columns = f'<div class="columns">{pictures}<div class="row">{items}</div></div>'
    return f'<div class="panorama">{_heading(card)}{columns}</div>'


def _as_drawn(parts: list[str], geometry: Geometry) -> list[str]:
    """Parts in the order of steps, put into the order in which they lie on the canvas."""
    return parts if geometry.forward else parts[::-1]


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


def _captions(card: PanoramaCard) -> list[str]:
    """A cell for the start window and for each step."""
    cells = []
    for index, caption in enumerate(card.captions):
        read = card.notes[index - 1] if index and card.notes else None
        missing = f' <span class="bad">{escape(read.missing)}</span>' if read and read.missing else ""
        note = f'<br><span class="read">{escape(read.text)}{missing}</span>' if read else ""
        cells.append(f"<div><b>{index or 'start'}</b> {escape(caption)}{note}</div>")
    return cells
