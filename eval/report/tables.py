"""Reports that are made of sections with tables, as a page that needs no other file and as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from eval.figures import Figure, by_definition, definitions, markdown_rows
from eval.report.html import definition_list, document, notes, table


class Section(NamedTuple):
    """A heading, sentences below it, and a table (no rows: the sentences alone)."""

    title: str
    notes: Sequence[str] = ()
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    drawn: str = ""
    """Charts and pictures as markup, between sentences and table; only pages have them."""
    folded: bool = False
    """Whether pages open the table on a click alone."""
    defined: Sequence[Figure] = ()
    """Figures whose definitions are told, each once."""


def tables_html(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page; every text is escaped."""
    return document(title, subtitle, [(section.title, _markup(section)) for section in sections])


def tables_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The same as Markdown, without sections that are drawn alone."""
    parts = [f"# {title}", subtitle]
    for section in sections:
        told = [*section.notes, markdown_rows([section.headers, *section.rows] if section.rows else [])]
        told.append(definitions(section.defined))
        if any(told):
            parts += [f"## {section.title}", *filter(None, told)]
    return "\n\n".join(parts) + "\n"


def _markup(section: Section) -> str:
    rows = table(section.headers, section.rows, {"MISSED": "missed"})
    if section.folded and rows:
        rows = f"<details><summary>in numbers</summary>{rows}</details>"
    meanings = definition_list(by_definition(section.defined)) if section.defined else ""
    return notes(section.notes) + section.drawn + rows + meanings
