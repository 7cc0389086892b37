"""Reports that are made of sections with tables, as a page that needs no other file and as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from eval.figures import Figure, by_definition, definitions, markdown_rows
from lit_outpaint.system.templates import template


class Section(NamedTuple):
    """A heading, sentences below it, and a table (no rows: the sentences alone)."""

    title: str
    notes: Sequence[str] = ()
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    drawn: Markup = Markup()
    """Charts and pictures as markup, between sentences and table; only pages have them."""
    folded: bool = False
    """Whether pages open the table on a click alone."""
    defined: Sequence[Figure] = ()
    """Figures whose definitions are told, each once."""


def tables_html(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page; every text is escaped."""
    page = template(__package__, "sections.html")
    return page.render(title=title, subtitle=subtitle, sections=sections, by_definition=by_definition)


def tables_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The same as Markdown, without sections that are drawn alone."""
    parts = [f"# {title}", subtitle]
    for section in sections:
        told = [*section.notes, markdown_rows([section.headers, *section.rows] if section.rows else [])]
        told.append(definitions(section.defined))
        if any(told):
            parts += [f"## {section.title}", *filter(None, told)]
    return "\n\n".join(parts) + "\n"
