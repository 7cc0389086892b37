"""The layout of a run: made before the first window, stored beside the canvas, drawn again where it was edited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lit_outpaint.canvas.edits import Edit
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.plan import Strips, parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.captioner import LayoutCaptioner
from lit_outpaint.planning.chain import ChainLayout
from lit_outpaint.planning.files import plan_text, read_plan_file
from lit_outpaint.planning.layout import plan_layout
from lit_outpaint.planning.local import VISIBLE_SHARE, local_caption
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.planning.shown import MAX_DRAWN, draw_plan
from lit_outpaint.runs.record import OutpaintRecord
from lit_outpaint.system.files import written_whole

if TYPE_CHECKING:
    from lit_outpaint.outpainter import Outpainter

AUTO: Final = "auto"
"""The setting that asks for a layout by rules."""
LAYOUT_NAME, PICTURE_NAME = "layout.json", "layout.png"
"""Files of a run directory."""


def new_layout(record: OutpaintRecord, graph: Graph, image_box: Box, outpainter: Outpainter) -> RegionPlan | None:
    """The layout that a run begins with; None when it asks for none.

    A cross of strips is laid out as a chain, which may grow later and must keep what it has.

    Args:
        record: of the run, with its settings and its plan.
        graph: the plan as windows.
        image_box: the first image.
        outpainter: knows window and stride.

    Raises:
        ValueError: the file is no layout, or the canvas is too small for what the caption names.
    """
    setting = record.config.get("layout")
    if setting is None:
        return None
    if setting != AUTO:
        return read_layout(Path(setting))
    if all(isinstance(part, Strips) for text in record.steps for part in parse_plan(text)):
        return _chain(record, image_box, outpainter).around(graph.box)
    return plan_layout(
        record.config["caption"],
        graph.box,
        outpainter.window_px,
        image_box=image_box,
        image_caption=record.config.get("image_caption") or "",
        stride_px=outpainter.stride_px,
        circumference_px=graph.circumference_px,
    )


def layout_of_run(
    directory: Path, record: OutpaintRecord, graph: Graph, image_box: Box, outpainter: Outpainter
) -> RegionPlan | None:
    """The layout that lies in a run's directory, grown with its plan; None when the run asks for none.

    Raises:
        ValueError: the file is damaged.
    """
    if record.config.get("layout") is None:
        return None
    layout = read_layout(directory / LAYOUT_NAME)
    if layout.period_px is None and not _covers(layout, graph.box):
        layout = extended(layout, _chain(record, image_box, outpainter).around(graph.box))
        store_layout(directory, layout)
    return layout


def read_layout(path: Path) -> RegionPlan:
    """Read a layout.

    Raises:
        ValueError: the file is no plan, or its boxes are not in px.
    """
    layout = read_plan_file(path)
    if layout.unit != "px":
        raise ValueError(f"{path}, unit: a layout has boxes in px, got {layout.unit}")
    return layout


def store_layout(directory: Path, layout: RegionPlan) -> None:
    """Write the layout of a run, and its picture where it is not too large for one."""
    with written_whole(directory / LAYOUT_NAME) as draft:
        draft.write_text(plan_text(layout), encoding="utf-8")
    if len(layout.regions) <= MAX_DRAWN:
        with written_whole(directory / PICTURE_NAME) as draft:
            draw_plan(layout).save(draft, format="PNG")


def extended(layout: RegionPlan, more: RegionPlan) -> RegionPlan:
    """A layout with the regions of another one that meet none of its own."""
    known = {region.id for region in layout.regions}
    boxes = [region.box for region in layout.regions]
    new = [
        region
        for region in more.regions
        if region.id not in known and not any(box.intersection(region.box) for box in boxes)
    ]
    return replace(layout, regions=(*layout.regions, *new))


def relaid(
    record: OutpaintRecord, canvas: Canvas, graph: Graph, before: RegionPlan | None, layout: RegionPlan, run_seed: int
) -> OutpaintRecord:
    """The record of a run in which every step that another layout asks for something else is to be drawn again.

    Args:
        record: of the run.
        canvas: what is drawn.
        graph: the plan.
        before: as the run was drawn; None compares captions alone.
        layout: as it is now.
        run_seed: the seed of the run.
    """
    edits = list(record.edits)
    for step in canvas.journal:
        caption = local_caption(layout, graph[step.step].window)
        regions = before is not None and _named(before, graph, step.step) != _named(layout, graph, step.step)
        if step.caption_source == LayoutCaptioner.name and (step.local_caption != caption or regions):
            edits.append(
                Edit(
                    number=len(edits) + 1,
                    step=step.step,
                    caption=caption,
                    caption_source=LayoutCaptioner.name,
                    seed=run_seed,
                )
            )
    if len(edits) == len(record.edits):
        return record
    return record.model_copy(update={"edits": edits, "finished": False})


def _named(layout: RegionPlan, graph: Graph, step: int) -> RegionPlan:
    """The regions that act on the window of a step."""
    return layout.over(graph[step].window, min_share=VISIBLE_SHARE)


def _chain(record: OutpaintRecord, image_box: Box, outpainter: Outpainter) -> ChainLayout:
    return ChainLayout(
        caption=record.config["caption"],
        image_box=RegionBox.of(image_box),
        image_caption=record.config.get("image_caption") or "",
        window_px=outpainter.window_px,
        stride_px=outpainter.stride_px,
    )


def _covers(layout: RegionPlan, box: Box) -> bool:
    """Whether a layout reaches to every side of a canvas."""
    if not layout.regions:
        return True  # Somebody wants nothing anywhere.
    edges = list(zip(*(region.box.as_tuple() for region in layout.regions), strict=True))
    reach = RegionBox(min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3]))
    return reach.x0 <= box.x0 and reach.y0 <= box.y0 and reach.x1 >= box.x1 and reach.y1 >= box.y1
