"""What a run leaves to look at: the panorama as PNG and the formats that were asked for, with its story inside."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

from lit_outpaint.canvas.export.formats import Format, place_of, present_formats, write_exports
from lit_outpaint.canvas.export.png import MAX_PNG_SIDE, write_png
from lit_outpaint.canvas.export.provenance import xmp_packet
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.runs.layouts import LAYOUT_NAME, read_layout
from lit_outpaint.runs.record import OutpaintRecord

PANORAMA_NAME = "panorama.png"


def run_facts(record: OutpaintRecord) -> dict[str, Any]:
    """What every export says about the run.

    Only what is listed here goes in: settings of the drawing, but no path, no command and no captioner's address.
    """
    config = record.config
    drawing = {field.name for field in fields(OutpainterConfig)} - {"seed"}
    return {
        "global_caption": config.get("caption"),
        "seed": config.get("seed"),
        "model_fingerprint": record.model_fingerprint,
        "image_sha256": record.image_sha256,
        "plan": list(record.steps),
        "settings": {name: value for name, value in config.items() if name in drawing},
        "versions": dict(record.versions),
    }


def layout_facts(canvas: Canvas, record: OutpaintRecord, directory: Path) -> dict[str, Any]:
    """The layout of a run for its page: boxes in pixels of the picture, with what each shows."""
    if record.config.get("layout") is None:
        return {}
    around = RegionBox.of(canvas.box)
    entries = []
    for region in read_layout(directory / LAYOUT_NAME).regions:
        box = region.box.intersection(around)
        if box is not None:
            edges = [round(edge) for edge in box.shift(-around.x0, -around.y0).as_tuple()]
            entries.append({"box": edges, "text": region.thing or region.prompt, "is_thing": bool(region.thing)})
    return {"layout": entries}


def write_pictures(canvas: Canvas, directory: Path, record: OutpaintRecord, formats: Collection[Format]) -> list[str]:
    """Write the panorama and the asked formats after a run; formats that lie there from before are renewed.

    Returns:
        Lines that say what there is now.
    """
    facts, box, panorama = run_facts(record), canvas.box, directory / PANORAMA_NAME
    if write_png(canvas, panorama, xmp_packet(canvas, facts)):
        line = f"{panorama}: {box.width} x {box.height} px after {canvas.num_steps} steps"
    else:
        panorama.unlink(missing_ok=True)  # An earlier, shorter one.
        line = f"{directory}/canvas.zarr: {box.width} x {box.height} px; a PNG has at most {MAX_PNG_SIDE} px a side"
    written = write_exports(canvas, {*formats, *present_formats(directory)}, directory, facts | layout_facts(canvas, record, directory))
    return [line, *map(str, written)]


def pictures_there(canvas: Canvas, directory: Path, formats: Collection[Format]) -> list[str]:
    """What a finished run shows already, as `write_pictures` says it; empty where a format or the panorama is missing."""
    panorama, box = directory / PANORAMA_NAME, canvas.box
    if not all(path.exists() for path in (panorama, *(directory / place_of(name) for name in formats))):
        return []
    line = f"{panorama}: {box.width} x {box.height} px after {canvas.num_steps} steps"
    return [line, *(str(directory / place_of(name)) for name in present_formats(directory))]


def write_exports_only(directory: Path, record: OutpaintRecord, formats: Collection[Format]) -> list[str]:
    """Write formats of a run that is finished; no model is needed.

    Returns:
        Lines that say what was written.
    """
    canvas = Canvas.open(directory)
    facts = run_facts(record) | layout_facts(canvas, record, directory)
    return [str(path) for path in write_exports(canvas, formats, directory, facts)]
