"""Reports that are made of tables alone, as a page that needs no other file and as Markdown."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from eval.report.style import STYLE


class Section(NamedTuple):
    """A heading, sentences below it, and a table (no rows: the sentences alone)."""

    title: str
    notes: Sequence[str] = ()
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def tables_html(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page; every text is escaped."""
    body = "".join(
        f"\n<section><h2>{escape(section.title)}</h2>"
        + "".join(f'<p class="note">{escape(note)}</p>' for note in section.notes)
        + _html_table(section)
        + "</section>"
        for section in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body><h1>{escape(title)}</h1><p class="note">{escape(subtitle)}</p>{body}</body></html>\n'
    )


def tables_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The same as Markdown."""
    parts = [f"# {title}", subtitle]
    for section in sections:
        parts += [f"## {section.title}", *section.notes]
        if section.rows:
            rows = [section.headers, ["---"] * len(section.headers), *section.rows]
            parts.append("\n".join("| " + " | ".join(_markdown_cell(cell) for cell in row) + " |" for row in rows))
    return "\n\n".join(parts) + "\n"


def _html_table(section: Section) -> str:
    if not section.rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in section.headers)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in section.rows)
    return f'<div class="table"><table><tr>{head}</tr>{rows}</table></div>'


def _markdown_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
