"""Write the page: deep zoom tiles, the steps as data inside the page, and OpenSeadragon, all in one folder.

A page from the file system may not fetch other files as data, so the description of the tiles and the steps are part of
the page. Captions come from users and language models: they are JSON in which no character can end the script element,
and the page puts them on show as text only.

OpenSeadragon 6.1.1 (BSD-3-Clause, its licence lies beside it) is the build that its npm package holds, unchanged.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from lit_outpaint.canvas.directories import replace_directory
from lit_outpaint.canvas.export.deep_zoom import TILES_NAME, write_deep_zoom
from lit_outpaint.canvas.export.provenance import head_of, inert_json, provenance_json, steps_of
from lit_outpaint.canvas.store import Canvas

_ASSETS = ("page.css", "page.js", "openseadragon.min.js", "openseadragon.LICENSE.txt")
_MAX_TITLE = 120


def write_tiles(canvas: Canvas, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write the deep zoom image alone, with ``panorama.json`` beside it, into a directory that is replaced."""
    partial = _begin(directory)
    _write_tiles(canvas, partial, facts)
    replace_directory(partial, directory)


def write_page(canvas: Canvas, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write the page and its deep zoom image.

    Args:
        canvas: what to show.
        directory: replaced when the page is complete; ``index.html`` in it opens in any browser.
        facts: what the run knows beside its journal; shown on the page.
    """
    partial = _begin(directory)
    source = _write_tiles(canvas, partial, facts)
    assets = files(__package__)
    for name in _ASSETS:
        (partial / name).write_bytes(assets.joinpath(name).read_bytes())
    head = head_of(canvas, facts)
    title = " ".join(str(head.get("global_caption", "")).split())[:_MAX_TITLE] or "Canvas"
    before, after = assets.joinpath("page.html").read_text(encoding="utf-8").split("{{data}}")
    with (partial / "index.html").open("w", encoding="utf-8") as page:
        page.write(before.replace("{{title}}", html.escape(title)))
        page.write(f'{{"head": {inert_json(head)}, "source": {inert_json(source)}, "steps": [')
        for number, step in enumerate(steps_of(canvas)):
            step["seed"] = str(step["seed"])  # A browser's numbers hold 53 bits.
            page.write(("," if number else "") + "\n" + inert_json(step))
        page.write("\n]}" + after)
    replace_directory(partial, directory)


def _begin(directory: Path) -> Path:
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _write_tiles(canvas: Canvas, directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    source = write_deep_zoom(canvas, directory)
    (directory / f"{TILES_NAME}.json").write_text(provenance_json(canvas, facts))
    return source
