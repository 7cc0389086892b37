"""A finished run as it lies on disk: what there is to see of it, and more formats of it. No model is needed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lit_outpaint.canvas.export.formats import (
    Format,
    check_places,
    place_of,
    present_formats,
    put_back_exports,
    write_exports,
)
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.lay_out import lay_out
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.runs.exports import PANORAMA_NAME, page_facts
from lit_outpaint.runs.layouts import layout_of_run
from lit_outpaint.runs.record import OutpaintRecord, plan_of


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedRun:
    """A run with all its steps."""

    record: OutpaintRecord
    config: OutpainterConfig
    canvas: Canvas
    graph: Graph
    window_px: int

    @property
    def layout(self) -> RegionPlan | None:
        """The layout in force."""
        where = self.canvas.directory, self.record, self.graph, self.canvas.image_box
        return layout_of_run(*where, self.config, self.window_px)


def finished_run(directory: Path, record: OutpaintRecord, config: OutpainterConfig) -> FinishedRun | None:
    """The run of a record; None where something of it is to be drawn, if only because it was damaged."""
    if not record.finished:
        return None
    canvas = Canvas.open(directory)
    put_back_exports(directory)
    first = next(iter(canvas.journal), None)
    if first is None:
        return None
    window_px = first.window[2] - first.window[0]  # The model would have to be there to be asked.
    graph = lay_out(plan_of(record), canvas.image_box, config, window_px)
    if canvas.num_steps < len(graph):
        return None
    return FinishedRun(record=record, config=config, canvas=canvas, graph=graph, window_px=window_px)


def pictures_there(run: FinishedRun, formats: Collection[Format]) -> list[str]:
    """What a run shows already, as `write_pictures` says it; empty where a format or the panorama is missing.

    Raises:
        ValueError: something else lies in the place of a format.
    """
    directory, box = run.canvas.directory, run.canvas.box
    check_places(directory, formats)
    panorama = directory / PANORAMA_NAME
    if not all(path.exists() for path in (panorama, *(directory / place_of(name) for name in formats))):
        return []
    line = f"{panorama}: {box.width} x {box.height} px after {run.canvas.num_steps} steps"
    return [line, *(str(directory / place_of(name)) for name in present_formats(directory))]


def write_exports_only(run: FinishedRun, formats: Collection[Format]) -> list[str]:
    """Write formats of a run.

    Returns:
        Lines that say what was written.
    """
    facts = page_facts(run.canvas, run.record, run.layout)
    return [str(path) for path in write_exports(run.canvas, formats, run.canvas.directory, facts)]
