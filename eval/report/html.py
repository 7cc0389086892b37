"""The frame of every page: a document that needs no other file, its sections and tables. Every text is escaped."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from PIL import Image

from eval.report.style import STYLE
from lit_outpaint.heldout.walks import Pixels

_LONG: Final = 60
"""Cells of more letters may break into lines, and those that hold a value with brackets behind it."""


def document(title: str, subtitle: str, sections: Iterable[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        title: its heading.
        subtitle: a line below.
        sections: headings, and markup whose texts are escaped; sections without markup are left out.
    """
    body = "".join(f"\n<section><h2>{escape(name)}</h2>{markup}</section>" for name, markup in sections if markup)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body><h1>{escape(title)}</h1><p class="note">{escape(subtitle)}</p>{body}</body></html>\n'
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, str] | None = None) -> str:
    """Headers (may be empty) and rows; nothing of no rows.

    Args:
        headers: of the columns.
        rows: texts of cells.
        styles: classes of cells by how their text ends.
    """
    if not rows:
        return ""

    def cell(text: str) -> str:
        found = [style for end, style in (styles or {}).items() if text.endswith(end)]
        breaks = ["long"] if len(text) > _LONG else ["pair"] if " (" in text else []
        style = " ".join([*found, *breaks])
        return f'<td class="{style}">{escape(text)}</td>' if style else f"<td>{escape(text)}</td>"

    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in headers)}</tr>" if headers else ""
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f'<div class="table"><table>{head}{body}</table></div>'


def notes(lines: Iterable[str]) -> str:
    """Sentences beside tables."""
    return "".join(f'<p class="note">{escape(line)}</p>' for line in lines)


def definition_list(titles: Mapping[str, Sequence[str]]) -> str:
    """Definitions once each, below the titles of their figures; see `eval.figures.by_definition`."""
    rows = (
        f"<dt>{'<br>'.join(map(escape, names))}</dt><dd>{escape(definition)}</dd>"
        for definition, names in titles.items()
    )
    return f"<dl>{''.join(rows)}</dl>"


def data_uri(image: Pixels) -> str:
    """A picture ``(H, W, 3)`` as a PNG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
