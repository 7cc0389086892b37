"""Write the page: deep zoom tiles, the steps as data inside the page, and OpenSeadragon, all in one folder.

A page from the file system may not fetch other files as data, so the description of the tiles and the steps are part of
the page. Captions come from users and language models: they are JSON in which no character can end the script element,
and the page puts them on show as text only.

OpenSeadragon 6.1.1 (BSD-3-Clause, its licence lies beside it) is the build that its npm package holds, unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lit_outpaint.canvas.directories import directory_written_whole
from lit_outpaint.canvas.export.deep_zoom import TILES_NAME, write_deep_zoom
from lit_outpaint.canvas.export.provenance import head_of, inert_json, provenance_json, steps_of
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.system.templates import template

_ASSETS = ("page.css", "page.js", "openseadragon.min.js", "openseadragon.LICENSE.txt")
_MAX_TITLE = 120


def write_tiles(canvas: Canvas, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write the deep zoom image alone, with ``panorama.json`` beside it, into a directory that is replaced."""
    with directory_written_whole(directory) as draft:
        _write_tiles(canvas, draft, facts)


def write_page(canvas: Canvas, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write the page and its deep zoom image.

    Args:
        canvas: what to show.
        directory: replaced when the page is complete; ``index.html`` in it opens in any browser.
        facts: what the run knows beside its journal; shown on the page.
    """
    head = _shown(head_of(canvas, facts))
    title = " ".join(str(head.get("global_caption") or "").split())[:_MAX_TITLE] or "Canvas"
    assets = files(__package__)
    with directory_written_whole(directory) as draft:
        source = _write_tiles(canvas, draft, facts)
        for name in _ASSETS:
            (draft / name).write_bytes(assets.joinpath(name).read_bytes())
        steps = (_inert(_shown(step)) for step in steps_of(canvas))
        page = template(__package__, "page.html").generate(
            title=title, head=_inert(head), source=_inert(source), steps=steps
        )
        with (draft / "index.html").open("w", encoding="utf-8") as file:
            file.writelines(page)


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """The head or a step with its seed as text: a browser's numbers hold 53 bits."""
    return {name: str(value) if name == "seed" and value is not None else value for name, value in entry.items()}


def _inert(value: Any) -> Markup:
    return Markup(inert_json(value))


def _write_tiles(canvas: Canvas, directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    source = write_deep_zoom(canvas, directory)
    (directory / f"{TILES_NAME}.json").write_text(provenance_json(canvas, facts))
    return source
