"""The canvas in the formats that other programs read: which there are, what each can hold, and writing them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from lit_outpaint.canvas.directories import put_back
from lit_outpaint.canvas.export.flat_files import (
    MAX_JPEG_SIDE,
    MAX_JPEG_XMP,
    MAX_WEBP_SIDE,
    require_pyvips,
    write_flat,
)
from lit_outpaint.canvas.export.ome_zarr import write_ome_zarr
from lit_outpaint.canvas.export.provenance import provenance_json, xmp_packet
from lit_outpaint.canvas.export.tiff import write_tiff
from lit_outpaint.canvas.export.viewer.page import write_page, write_tiles
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas

Format = Literal["jpeg", "webp", "tiff", "ome-zarr", "dzi", "page"]
"""Formats beside the PNG that every run leaves."""
FORMATS: tuple[Format, ...] = get_args(Format)
_PLACES: dict[Format, str] = {
    "jpeg": "panorama.jpg",
    "webp": "panorama.webp",
    "tiff": "panorama.tif",
    "ome-zarr": "panorama.ome.zarr",
    "dzi": "view/panorama.dzi",
    "page": "view/index.html",
}
_MAX_SIDES: dict[Format, int] = {"jpeg": MAX_JPEG_SIDE, "webp": MAX_WEBP_SIDE}


def parse_formats(text: str) -> tuple[Format, ...]:
    """Read a list such as ``dzi,tiff``; an empty text is no format.

    Raises:
        ValueError: a name is none of `FORMATS`.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FORMATS:
            raise ValueError(f"--export takes a list of {', '.join(FORMATS)}, such as page,tiff; got {name!r}")
    return tuple(name for name in FORMATS if name in names)


def check_formats(formats: Collection[Format], box: Box) -> None:
    """Refuse what cannot be written, before any work is done for it.

    Args:
        formats: what is asked for.
        box: what the canvas will hold when it is written.

    Raises:
        ValueError: the picture is too long for a format, or pyvips is missing.
    """
    for name in formats:
        most = _MAX_SIDES.get(name)
        if most is None:
            continue
        if max(box.width, box.height) > most:
            raise ValueError(
                f"{name} holds at most {most} px a side, the picture will be {box.width} x {box.height}; "
                "export tiff, dzi, page or ome-zarr"
            )
        require_pyvips()


def check_places(directory: Path, formats: Collection[Format]) -> None:
    """Refuse to write where something else lies.

    Raises:
        ValueError: a file is wanted where a directory is, a directory where a file is, or a link leads to a directory
            of other files, which would be removed.
    """
    for name in formats:
        top = directory / Path(_PLACES[name]).parts[0]
        is_file = name in ("jpeg", "webp", "tiff")
        if top.exists() and top.is_dir() == is_file:
            kinds = ("a directory", "a file")
            raise ValueError(f"{name} is to be {kinds[is_file]}, but {top} is {kinds[not is_file]}; move it away")
        own = top / ("zarr.json" if name == "ome-zarr" else "panorama.dzi")
        if top.is_symlink() and top.is_dir() and any(top.iterdir()) and not own.exists():
            raise ValueError(f"{name} would take the place of other files, which {top} leads to; move them away")


def place_of(name: Format) -> str:
    """Where a format lies in a run directory."""
    return _PLACES[name]


def put_back_exports(directory: Path) -> None:
    """Put back the exports that a kill took away while they were renewed; call it before asking what is present."""
    for top in {Path(place).parts[0] for place in _PLACES.values()}:
        put_back(directory / top)


def present_formats(directory: Path) -> tuple[Format, ...]:
    """Formats that a run directory holds already."""
    found = [name for name in FORMATS if (directory / _PLACES[name]).exists()]
    return tuple(name for name in found if not (name == "dzi" and "page" in found))


def write_exports(canvas: Canvas, formats: Collection[Format], directory: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write the canvas in each format into a run directory; a file appears, or is replaced, when it is complete.

    Args:
        canvas: what to write.
        formats: which; the page holds the deep zoom tiles too.
        directory: the run directory.
        facts: what the run knows beside its journal; goes into every file, so it must hold nothing secret. Its
            ``layout``, boxes with texts, is drawn over the page and goes nowhere else.

    Raises:
        ValueError: a format cannot hold the picture, pyvips is missing, or something else lies in a format's place.
    """
    check_formats(formats, canvas.box)
    check_places(directory, formats)
    wanted = [name for name in FORMATS if name in formats]
    if "dzi" in wanted and (directory / _PLACES["page"]).exists():
        wanted = [name for name in FORMATS if name in (*wanted, "page")]
    if "page" in wanted:
        wanted = [name for name in wanted if name != "dzi"]
    on_page = facts
    facts = {name: value for name, value in facts.items() if name != "layout"}
    for name in wanted:
        path = directory / _PLACES[name]
        if name == "jpeg":
            write_flat(canvas, path, xmp_packet(canvas, facts, MAX_JPEG_XMP))
        elif name == "webp":
            write_flat(canvas, path, xmp_packet(canvas, facts))
        elif name == "tiff":
            write_tiff(canvas, path, xmp_packet(canvas, facts))
        elif name == "ome-zarr":
            write_ome_zarr(canvas, path, provenance_json(canvas, facts))
        elif name == "dzi":
            write_tiles(canvas, path.parent, facts)
        else:
            write_page(canvas, path.parent, on_page)
    return [directory / _PLACES[name] for name in wanted]
