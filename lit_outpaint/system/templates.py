"""Templates of pages and drawings, in a folder ``templates`` beside the code that fills them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(package: str, name: str) -> Template:
    """A template of jinja2. Every value is escaped that is no markup of a template's own; a missing one is an error.

    Args:
        package: whose ``templates`` holds it.
        name: of the file.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # Few commands need it.

    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template(name)


def macros(package: str, name: str) -> Any:
    """The macros of a template as functions; what they return is markup, which no template escapes again."""
    return template(package, name).module
