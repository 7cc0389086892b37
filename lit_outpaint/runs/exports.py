"""What a run leaves to look at: the panorama as PNG and the formats that were asked for, with its story inside."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

from lit_outpaint.canvas.export.formats import (
    Format,
    check_formats,
    check_places,
    place_of,
    present_formats,
    write_exports,
)
from lit_outpaint.canvas.export.png import MAX_PNG_SIDE, write_png
from lit_outpaint.canvas.export.provenance import xmp_packet
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.regions import RegionPlan
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


def check_pictures(directory: Path, formats: Collection[Format], extent: Box) -> None:
    """Refuse what could not be written after the last step; formats that lie there from before are renewed then.

    Raises:
        ValueError: the picture will be too long for a format, pyvips is missing, or something else lies in a place.
    """
    check_formats(formats, extent)
    present = present_formats(directory)
    check_places(directory, {*formats, *present})
    if (directory / PANORAMA_NAME).is_dir():
        raise ValueError(f"the panorama is to be a file, but {directory / PANORAMA_NAME} is a directory; move it away")
    for name in present:
        try:
            check_formats([name], extent)
        except ValueError as error:
            raise ValueError(f"{directory / place_of(name)} could not be renewed, delete it: {error}") from error


def page_facts(canvas: Canvas, record: OutpaintRecord, layout: RegionPlan | None) -> dict[str, Any]:
    """`run_facts` with the layout in force for the page: boxes in pixels of the picture, with what each shows."""
    if layout is None:
        return run_facts(record)
    around = RegionBox.of(canvas.box)
    entries = []
    for region in layout.regions:
        box = region.box.intersection(around)
        if box is not None:
            edges = [round(edge) for edge in box.shift(-around.x0, -around.y0).as_tuple()]
            entries.append({"box": edges, "text": region.thing or region.prompt, "is_thing": bool(region.thing)})
    return run_facts(record) | {"layout": entries}


def write_pictures(
    canvas: Canvas, record: OutpaintRecord, formats: Collection[Format], layout: RegionPlan | None
) -> list[str]:
    """Write the panorama and the asked formats after a run; formats that lie there from before are renewed.

    Returns:
        Lines that say what there is now.
    """
    directory, box = canvas.directory, canvas.box
    panorama = directory / PANORAMA_NAME
    if write_png(canvas, panorama, xmp_packet(canvas, run_facts(record))):
        line = f"{panorama}: {box.width} x {box.height} px after {canvas.num_steps} steps"
    else:
        panorama.unlink(missing_ok=True)  # An earlier, shorter one.
        line = f"{directory}/canvas.zarr: {box.width} x {box.height} px; a PNG has at most {MAX_PNG_SIDE} px a side"
    wanted = {*formats, *present_formats(directory)}
    return [line, *map(str, write_exports(canvas, wanted, directory, page_facts(canvas, record, layout)))]
