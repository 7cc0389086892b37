"""The layout of a run: made before the first window, drawn again where it was edited, and taken back by an undo.

Every layout that a run was given lies in ``kept/layout-N.json`` and does not change; ``run.yaml`` says which one is in
force. So a command that is killed anywhere leaves a run under one layout or the other. ``layout.json`` shows the one in
force, as far as the plan has grown, to people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from lit_outpaint.canvas.edits import KEPT_NAME, Edit
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.plan import Strips, parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.lay_out import lay_out, stride_px_of
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.captioner import LayoutCaptioner
from lit_outpaint.planning.chain import ChainLayout
from lit_outpaint.planning.files import plan_text, read_plan_file
from lit_outpaint.planning.layout import plan_layout
from lit_outpaint.planning.local import VISIBLE_SHARE, local_caption
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.planning.shown import MAX_DRAWN, draw_plan
from lit_outpaint.runs.record import OutpaintRecord, Relayout, plan_of
from lit_outpaint.system.files import written_whole

AUTO: Final = "auto"
"""The setting that asks for a layout by rules."""
LAYOUT_NAME, PICTURE_NAME, BEFORE_NAME = "layout.json", "layout.png", "layout.before.json"
"""Files of a run directory."""


def new_layout(
    record: OutpaintRecord, graph: Graph, image_box: Box, config: OutpainterConfig, window_px: int
) -> RegionPlan | None:
    """The layout that a run begins with; None when it asks for none.

    A cross of strips is laid out as a chain, which may grow later and must keep what it has.

    Args:
        record: of the run, with its settings and its plan.
        graph: the plan as windows.
        image_box: the first image.
        config: of the run; says the stride.
        window_px: side of its windows.

    Raises:
        ValueError: the file is no layout, or the canvas is too small for what the caption names.
    """
    setting = record.config.get("layout")
    if setting is None:
        return None
    if setting != AUTO:
        return read_layout(Path(setting))
    if all(isinstance(part, Strips) for text in record.steps for part in parse_plan(text)):
        return _chain(record, image_box, config, window_px).around(graph.box)
    return plan_layout(
        record.config["caption"],
        graph.box,
        window_px,
        image_box=image_box,
        image_caption=record.config.get("image_caption") or "",
        stride_px=stride_px_of(config, window_px),
        circumference_px=graph.circumference_px,
    )


def layout_of_run(
    directory: Path, record: OutpaintRecord, graph: Graph, image_box: Box, config: OutpainterConfig, window_px: int
) -> RegionPlan | None:
    """The layout in force; None when the run asks for none.

    One by rules goes on where steps were added to the plan that it was made for. Whatever that plan reaches stays as it
    is, and a layout that began as a file does not grow.

    Raises:
        ValueError: the file is missing or damaged.
    """
    if record.config.get("layout") is None:
        return None
    in_force = [each for each in record.relayouts if not each.undone]
    number, num_parts = (in_force[-1].number, in_force[-1].num_parts) if in_force else (0, 1)
    path = kept_layout(directory, number)
    if not path.is_file() and number == len(record.relayouts):
        # A run from before layouts were kept, or somebody made room; then it is the one that is shown.
        keep_layout(directory, number, read_layout(directory / LAYOUT_NAME))
    layout = read_layout(path)
    if record.config["layout"] != AUTO or layout.period_px is not None or num_parts == len(record.steps):
        return layout
    reached = lay_out(plan_of(record, num_parts), image_box, config, window_px).box
    return extended(layout, _chain(record, image_box, config, window_px).around(graph.box), reached)


def read_layout(path: Path) -> RegionPlan:
    """Read a layout.

    Raises:
        ValueError: the file is no plan, or its boxes are not in px.
    """
    layout = read_plan_file(path)
    if layout.unit != "px":
        raise ValueError(f"{path}, unit: a layout has boxes in px, got {layout.unit}")
    return layout


def keep_layout(directory: Path, number: int, layout: RegionPlan) -> None:
    """Keep a layout of a run, as it was given or made; which of them is in force, the record says."""
    path = kept_layout(directory, number)
    path.parent.mkdir(exist_ok=True)
    with written_whole(path) as draft:
        draft.write_text(plan_text(layout), encoding="utf-8")


def kept_layout(directory: Path, number: int) -> Path:
    """Where a layout of a run is kept; 0 is the one that it began with."""
    return directory / KEPT_NAME / f"layout-{number}.json"


def show_layout(directory: Path, layout: RegionPlan) -> None:
    """Write the layout in force for people, and its picture where it is not too large for one.

    What lay there and is another one goes to `BEFORE_NAME`: somebody may have edited it in its place.
    """
    path, text = directory / LAYOUT_NAME, plan_text(layout)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    if path.is_file():
        path.replace(directory / BEFORE_NAME)
    if len(layout.regions) <= MAX_DRAWN:
        with written_whole(directory / PICTURE_NAME) as draft:
            draw_plan(layout).save(draft, format="PNG")
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")


def extended(layout: RegionPlan, more: RegionPlan, reached: Box) -> RegionPlan:
    """A layout with the regions of another one that lie beyond what it was made for, and meet none of its own."""
    known = {region.id for region in layout.regions}
    boxes = [RegionBox.of(reached), *(region.box for region in layout.regions)]
    new = [
        region
        for region in more.regions
        if region.id not in known and not any(box.intersection(region.box) for box in boxes)
    ]
    return replace(layout, regions=(*layout.regions, *new))


def relaid(
    record: OutpaintRecord, canvas: Canvas, graph: Graph, before: RegionPlan, layout: RegionPlan
) -> OutpaintRecord:
    """The record of a run under another layout, with an edit of every step that it asks something else of.

    Args:
        record: of the run.
        canvas: what is drawn.
        graph: the plan.
        before: the layout in force.
        layout: the new one; when nothing in it is other than before, the record is returned as it is.
    """
    edits, number = list(record.edits), len(record.relayouts) + 1
    for step, said in _said_by_layout(record, canvas):
        caption = local_caption(layout, graph[step].window)
        if said != caption or _named(before, graph, step) != _named(layout, graph, step):
            edit = Edit(
                number=len(edits) + 1,
                step=step,
                caption=caption,
                caption_source=LayoutCaptioner.name,
                seed=record.seed_of(step),
                group=number,
            )
            edits.append(edit)
    if len(edits) == len(record.edits) and layout == before:
        return record
    relayout = Relayout(number=number, num_parts=len(record.steps), num_edits=len(edits))
    return record.model_copy(update={"edits": edits, "relayouts": [*record.relayouts, relayout]}).unfinished("layout")


def _said_by_layout(record: OutpaintRecord, canvas: Canvas) -> Iterator[tuple[int, str]]:
    """Steps with the caption that a layout gave them: drawn ones, and ones that an edit has drawn again by and by."""
    edits = {edit.step: edit for edit in record.edits if not edit.undone}
    for done in canvas.journal:
        edit = edits.pop(done.step, None)
        if (done if edit is None else edit).caption_source == LayoutCaptioner.name:
            yield done.step, done.local_caption if edit is None else edit.caption
    yield from ((step, edit.caption) for step, edit in edits.items() if edit.caption_source == LayoutCaptioner.name)


def _named(layout: RegionPlan, graph: Graph, step: int) -> RegionPlan:
    """The regions that act on the window of a step."""
    return layout.over(graph[step].window, min_share=VISIBLE_SHARE)


def _chain(record: OutpaintRecord, image_box: Box, config: OutpainterConfig, window_px: int) -> ChainLayout:
    return ChainLayout(
        caption=record.config["caption"],
        image_box=RegionBox.of(image_box),
        image_caption=record.config.get("image_caption") or "",
        window_px=window_px,
        stride_px=stride_px_of(config, window_px),
    )
