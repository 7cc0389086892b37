"""Panoramas on a page: the pictures of one key below or beside each other, with step borders and captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.pictures import data_uri
from lit_outpaint.heldout.walks import Geometry, Pixels
from lit_outpaint.system.templates import macros

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


def panorama_cards(cards: Sequence[PanoramaCard], geometry: Geometry) -> Markup:
    """The markup of all cards.

    Those of a canvas that grows sideways have their pictures below each other and captions in columns under the strips,
    or in lines where strips are too narrow; the others have pictures beside each other and a list of captions.
    """
    ends = ("left", "right") if geometry.horizontal else ("top", "bottom")
    side = ends[0 if geometry.forward else 1]
    shown = [_shown(card, geometry) for card in cards]
    made: Markup = macros(__package__, "panoramas.html").panoramas(shown, side, across=geometry.horizontal)
    return made


def _shown(card: PanoramaCard, geometry: Geometry) -> dict[str, Any]:
    """What the template shows of a card; cells and their columns stand in the order in which they lie on the canvas."""
    widths = [f"{geometry.window_px}fr", *[f"{geometry.stride_px}fr"] * (len(card.captions) - 1)]
    notes = [None, *(card.notes or [None] * (len(card.captions) - 1))]
    cells = list(zip(range(len(card.captions)), card.captions, notes, strict=True))
    columns = " ".join(widths if geometry.forward else widths[::-1])
    narrow = geometry.horizontal and len(card.captions) > _MAX_COLUMNS
    return {
        "key": card.key,
        "global_caption": card.global_caption,
        "pictures": [
            {"name": name, "source": data_uri(picture), "borders": _borders(picture, geometry)}
            for name, picture in card.pictures
        ],
        "columns": "repeat(auto-fill, minmax(190px, 1fr))" if narrow else columns,
        "cells": cells if geometry.forward or narrow else cells[::-1],
    }


def _borders(image: Pixels, geometry: Geometry) -> list[float]:
    """Where each step begins, in percent of the picture's length."""
    length = image.shape[1] if geometry.horizontal else image.shape[0]
    num_steps = (length - geometry.window_px) // geometry.stride_px
    return [100 * geometry.length(step) / length for step in range(num_steps)]
