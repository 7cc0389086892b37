"""The joint engine: against the engine of steps, against a plain loop, and through stops, kills, edits and rings."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lit_outpaint.canvas.compositing import to_pixel_values
from lit_outpaint.canvas.edits import Edit
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import build_graph
from lit_outpaint.canvas.joint_pass import PASS_NAME, begin_pass
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.latent_grid import LatentGrid
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.data.features import Features
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.drawing.joint import JointEngine, decode_tile
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import OutpaintPipeline
from lit_outpaint.testing.models import ScriptedCaptioner

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"
IMAGE = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def _run(
    directory: Path,
    pipeline: OutpaintPipeline,
    plan: str,
    edits: list[Edit] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Canvas:
    if not directory.exists():
        directory.mkdir()
        Canvas.create(directory, IMAGE, chunk_px=32)
    config = OutpainterConfig(**{"num_inference_steps": 2, "overlap_px": 32, "engine": "joint", **changes})
    canvas = Canvas.open(directory)
    outpainter = Outpainter(pipeline, config=config)
    graph = outpainter.lay_out(parse_plan(plan), canvas.image_box)
    return outpainter.run(canvas, graph, GLOBAL, edits=edits or [], should_stop=should_stop)


def _records(canvas: Canvas) -> list[StepRecord]:
    return [record.model_copy(update={"seconds": 0.0}) for record in canvas.journal]


def _pixels(canvas: Canvas) -> np.ndarray:
    return canvas.read(canvas.box)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_one_window_alone_is_the_window_of_the_other_engine(
    tmp_path: Path, pipeline: OutpaintPipeline, guidance: float
) -> None:
    joint, steps = (
        _run(tmp_path / engine, pipeline, "left", engine=engine, guidance_scale=guidance)
        for engine in ("joint", "steps")
    )
    assert _records(joint) == _records(steps)
    np.testing.assert_array_equal(_pixels(joint), _pixels(steps))


def _reference_multidiffusion(pipeline: OutpaintPipeline, noise: Tensor, captions: list[str], steps: int) -> Tensor:
    """The published loop: one view at a time, each takes its own DDIM step, overlapping results are averaged."""
    encoders, starts = pipeline.encoders, [4, 8, 12]
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(steps)
    latents = noise[None]
    picture = to_pixel_values(IMAGE[None])
    half = torch.cat([picture[..., 32:], torch.zeros(1, 3, 64, 32)], dim=-1)
    grey = torch.zeros(1, 3, 64, 64)
    for timestep in scheduler.timesteps:
        value, number = torch.zeros_like(latents), torch.zeros_like(latents)
        for start, caption in zip(starts, captions, strict=True):
            view = latents[..., start - 4 : start + 4]
            known = start == starts[0]
            mask = torch.ones(1, 1, 8, 8)
            mask[..., : 4 if known else 0] = 0
            masked = encoders.encode_mode(half if known else grey)
            local, glob = encoders.encode_text([caption]), encoders.encode_text([GLOBAL])
            context = pipeline.context(Features(local, glob, encoders.encode_visual(picture))).hidden_states
            stacked = torch.cat([view, mask, masked], dim=1)
            model_pred = pipeline.unet(stacked, timestep, context).sample
            moved = scheduler.step(model_pred, timestep, view, return_dict=False)[0]
            value[..., start - 4 : start + 4] += moved
            number[..., start - 4 : start + 4] += 1
        latents = value / number
    return latents[0]


def test_overlapping_views_agree_with_a_plain_loop_over_them(
    tmp_path: Path, pipeline: OutpaintPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[JointEngine, list[Tensor]]] = []
    plain, noise = JointEngine.denoise, JointEngine._taken

    def taken(self: JointEngine, requests: Iterator[WindowRequest]) -> Any:
        found = noise(self, requests)
        seen[-1][1].append(found[0])
        return found

    monkeypatch.setattr(JointEngine, "denoise", lambda self, *asked: (seen.append((self, [])), plain(self, *asked))[1])
    monkeypatch.setattr(JointEngine, "_taken", taken)
    canvas = _run(tmp_path / "run", pipeline, "right:3", guidance_scale=1.0, num_inference_steps=3)
    captions = [record.local_caption for record in canvas.journal]
    with torch.no_grad():
        reference = _reference_multidiffusion(pipeline, seen[0][1][0], captions, 3)
    torch.testing.assert_close(seen[0][0]._latents, reference, atol=1e-4, rtol=1e-4)
    assert len(set(captions)) == 3


@pytest.mark.parametrize("plan", ["right:3,left:2,up:1", "to:128x128"])
def test_the_batch_size_changes_no_byte_and_known_pixels_stay(
    tmp_path: Path, pipeline: OutpaintPipeline, plan: str
) -> None:
    one, all_ = (_run(tmp_path / str(size), pipeline, plan, batch_size=size) for size in (1, 3))
    assert _records(one) == _records(all_)
    np.testing.assert_array_equal(_pixels(one), _pixels(all_))
    np.testing.assert_array_equal(one.read(one.image_box), IMAGE)
    assert sorted(path.name for path in one.directory.iterdir()) == ["canvas.zarr", "captions.jsonl", "steps.jsonl"]
    for record in one.journal:
        assert one.read(record.strip_box).std() > 1


def test_steps_that_are_added_keep_those_that_are_there(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    first = _run(tmp_path / "run", pipeline, "right:2")
    before, pixels = _records(first), _pixels(first)
    more = _run(tmp_path / "run", pipeline, "right:2,left:1")
    assert _records(more)[:2] == before
    np.testing.assert_array_equal(more.read(first.box), pixels)


def test_a_stop_while_denoising_leaves_nothing_half_done(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    whole = _run(tmp_path / "whole", pipeline, "right:3", num_inference_steps=4)
    for patience in (0, 4, 3):  # Asked before each caption that is missing, before the walk and before each timestep.
        asked = count()
        stopped = _run(
            tmp_path / "parts",
            pipeline,
            "right:3",
            num_inference_steps=4,
            should_stop=lambda: next(asked) >= patience,  # noqa: B023
        )
        assert stopped.num_steps == 0
    parts = _run(tmp_path / "parts", pipeline, "right:3", num_inference_steps=4)
    assert _records(parts) == _records(whole)
    np.testing.assert_array_equal(_pixels(parts), _pixels(whole))


def test_timesteps_are_told_since_no_step_is_finished_before_the_last(
    tmp_path: Path, pipeline: OutpaintPipeline
) -> None:
    outpainter = Outpainter(pipeline, config=OutpainterConfig(num_inference_steps=3, engine="joint"))
    told: list[object] = []
    canvas = Canvas.create(tmp_path, IMAGE, chunk_px=32)
    outpainter.run(
        canvas,
        outpainter.lay_out(parse_plan("right:2"), canvas.image_box),
        GLOBAL,
        [lambda record: told.append(record.step)],
        on_timestep=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3), 0, 1]


@pytest.mark.parametrize("num_lines", [0, 1, 3])
def test_a_pass_of_which_a_part_reached_the_journal_is_drawn_again(
    tmp_path: Path, pipeline: OutpaintPipeline, num_lines: int
) -> None:
    _run(tmp_path / "whole", pipeline, "left:1")
    whole = _run(tmp_path / "whole", pipeline, "left:1,right:3")
    shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    torn = Canvas.open(tmp_path / "torn")
    torn.journal.keep(1 + num_lines)
    begin_pass(torn, [1, 2, 3])
    again = _run(tmp_path / "torn", pipeline, "left:1,right:3")
    assert _records(again) == _records(whole)
    np.testing.assert_array_equal(_pixels(again), _pixels(whole))
    assert not (tmp_path / "torn" / PASS_NAME).exists()
    (tmp_path / "torn" / PASS_NAME).write_text("{")
    with pytest.raises(ValueError, match="must be a list of steps, but is damaged"):
        _run(tmp_path / "torn", pipeline, "left:1,right:3")


def test_an_edit_regrows_what_builds_on_it_and_undo_brings_it_back(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    plan = "right:3,left:1"
    canvas = _run(tmp_path / "run", pipeline, plan)
    before, pixels = {record.step: record for record in _records(canvas)}, _pixels(canvas)
    edit = Edit(number=1, step=1, caption="a red barn", caption_source="edit", seed=7)
    after = {record.step: record for record in _records(_run(tmp_path / "run", pipeline, plan, [edit]))}
    assert {step for step in before if before[step].checksum != after[step].checksum} == {1, 2}
    undone = _run(tmp_path / "run", pipeline, plan, [edit.model_copy(update={"undone": True})])
    assert {record.step: record for record in _records(undone)} == before
    np.testing.assert_array_equal(_pixels(undone), pixels)


def test_a_ring_is_denoised_as_a_ring(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    ring = _run(tmp_path / "ring", pipeline, "loop:4")
    assert ring.box == Box(0, 0, 64 + 4 * 32, 64)
    strip = _run(tmp_path / "strip", pipeline, "right:4")
    assert (ring.read(Box(64, 0, 96, 64)) != strip.read(Box(64, 0, 96, 64))).any()


def test_windows_on_a_grid_wrap_around_a_ring_and_widen_within_what_is_covered() -> None:
    graph = build_graph(parse_plan("loop:3"), Box(0, 0, 64, 64), 64, 32)
    grid = LatentGrid(graph, [step.window for step in graph])
    assert grid.shape == (8, 20)
    cells = torch.arange(160).reshape(1, 8, 20)
    closing = graph[2].window
    assert grid.cut(cells, closing)[0, 0].tolist() == [*range(14, 20), 0, 1]
    assert grid.widened(Box(96, 0, 160, 64), 2) == Box(80, 0, 176, 64)  # Cell 2 is not covered, so it ends before.

    cross = build_graph(parse_plan("right:1,up:1"), Box(0, 0, 64, 64), 64, 32)
    grid = LatentGrid(cross, [step.window for step in cross])
    right, up = (step.window for step in cross)
    assert grid.widened(up, 4) == up  # Beside it and below it there are cells that no window covers.
    assert grid.widened(Box(32, 0, 64, 32), 2) == Box(16, 0, 80, 32)
    assert grid.coverage[0, 4, 4] == 2
    assert right == Box(32, 0, 96, 64)


def test_tiles_come_nearer_to_the_whole_the_wider_their_halo_and_are_it_in_the_end(pipeline: OutpaintPipeline) -> None:
    graph = build_graph(parse_plan("right:6"), Box(0, 0, 64, 64), 64, 32)
    grid = LatentGrid(graph, [step.window for step in graph])
    latents = torch.randn(4, *grid.shape, generator=torch.Generator().manual_seed(2))
    whole, window = pipeline.encoders.decode(latents[None]), graph[3].window
    x0 = window.x0 - grid.region.x0
    errors = [
        (decode_tile(pipeline, grid, latents, window, halo) - whole[..., x0 : x0 + 64]).abs().max()
        for halo in (0, 4, 99)
    ]
    assert errors[0] > errors[1] > errors[2] == 0


@pytest.mark.parametrize(
    ("changes", "plan", "message"),
    [
        ({"joint_memory_mib": 1}, "right:30", r"30 windows in about \d+ MiB, the limit is joint_memory_mib 1"),
        ({"candidates": 2}, "right:1", "takes no candidates"),
        ({"seam_feather_cells": 1}, "right:1", "takes no candidates, no seam_feather_cells"),
        ({"compile": True}, "right:1", "takes no candidates, no seam_feather_cells and no compile"),
        ({"joint_halo_cells": -1}, "right:1", "must not be negative"),
        ({}, "[{window: [32, 0]}, {window: [-36, 0], direction: left}]", "whole cells of 8 px|common cells of 8 px"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(
    tmp_path: Path, pipeline: OutpaintPipeline, changes: dict[str, Any], plan: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _run(tmp_path / "run", pipeline, plan, **changes)


def test_pictures_off_the_grid_and_single_windows_are_refused(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    tmp_path.joinpath("run").mkdir()
    canvas = Canvas.create(tmp_path / "run", np.zeros((64, 70, 3), np.uint8))
    outpainter = Outpainter(pipeline, ScriptedCaptioner(["a lake"]), OutpainterConfig(engine="joint"))
    with pytest.raises(ValueError, match="needs windows on common cells of 8 px, but those at"):
        outpainter.run(canvas, outpainter.lay_out(parse_plan("right:1,left:1"), canvas.image_box), GLOBAL)
    with pytest.raises(ValueError, match="draws whole plans"):
        outpainter.draw([])
