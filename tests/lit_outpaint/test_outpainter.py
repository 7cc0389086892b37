from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lit_outpaint.canvas.geometry import DIRECTIONS, Box, Direction, new_box
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.seeding import window_generator
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline
from lit_outpaint.protocols import CaptionError
from lit_outpaint.testing.models import TOY_WINDOW_PX, ScriptedCaptioner

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"
IMAGE = np.random.default_rng(3).integers(0, 256, (70, 80, 3), dtype=np.uint8)


def _config(**changes: Any) -> OutpainterConfig:
    return OutpainterConfig(**{"num_inference_steps": 2, "overlap_px": 40, **changes})


def _run(directory: Path, pipeline: OutpaintPipeline, steps: str, **changes: Any) -> Canvas:
    directory.mkdir()
    canvas = Canvas.create(directory, IMAGE, chunk_px=32)
    return _grow(Outpainter(pipeline, config=_config(**changes)), canvas, steps)


def _grow(outpainter: Outpainter, canvas: Canvas, steps: str, **options: Any) -> Canvas:
    return outpainter.run(canvas, outpainter.lay_out(parse_plan(steps), canvas.image_box), GLOBAL, **options)


def _without_seconds(records: Sequence[StepRecord]) -> list[StepRecord]:
    return [record.model_copy(update={"seconds": 0.0}) for record in records]


def _by_step(canvas: Canvas) -> list[StepRecord]:
    return sorted(_without_seconds(list(canvas.journal)), key=lambda record: record.step)


def test_the_canvas_grows_in_four_directions_and_keeps_every_known_pixel(
    tmp_path: Path, pipeline: OutpaintPipeline
) -> None:
    canvas = Canvas.create(tmp_path, IMAGE, chunk_px=32)
    outpainter = Outpainter(pipeline, config=_config())
    seen: list[tuple[Box, np.ndarray]] = [(canvas.image_box, IMAGE)]

    def check(record: StepRecord) -> None:
        for box, pixels in seen:
            np.testing.assert_array_equal(canvas.read(box), pixels)
        seen.append((record.strip_box, canvas.read(record.strip_box)))

    _grow(outpainter, canvas, "left:2,up:2,right:1,down:2,left:1", callbacks=[check])
    assert canvas.num_steps == 8
    assert canvas.box == Box(-72, -48, 80 + 24, 70 + 48)
    assert all(pixels.std() > 1 for _, pixels in seen)


def test_the_same_seed_gives_the_same_canvas_and_another_seed_another(
    tmp_path: Path, pipeline: OutpaintPipeline
) -> None:
    one, two, other = (
        list(_run(tmp_path / name, pipeline, "right:1,up:1", seed=seed).journal)
        for name, seed in (("one", 1), ("two", 1), ("other", 2))
    )
    assert _without_seconds(one) == _without_seconds(two)
    assert [record.checksum for record in one] != [record.checksum for record in other]


def test_a_run_in_two_parts_is_the_run_in_one(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    whole = _run(tmp_path / "whole", pipeline, "right:2,left:2")
    parts = _run(tmp_path / "parts", pipeline, "right:2")
    again = Canvas.open(parts.directory)
    _grow(Outpainter(pipeline, config=_config()), again, "right:2,left:2")
    assert _by_step(again) == _by_step(whole)
    np.testing.assert_array_equal(again.read(whole.box), whole.read(whole.box))


def test_a_large_batch_on_one_thread_draws_what_each_window_alone_would_be(pipeline: OutpaintPipeline) -> None:
    outpainter = Outpainter(pipeline, config=_config(num_inference_steps=1))
    known = np.random.default_rng(8).integers(0, 256, (9, TOY_WINDOW_PX, TOY_WINDOW_PX, 3), dtype=np.uint8)
    box = Box(0, 0, TOY_WINDOW_PX, TOY_WINDOW_PX)

    def draw(chosen: list[int]) -> np.ndarray:
        return outpainter.draw(
            [
                WindowRequest(
                    window=box,
                    known=known[i],
                    new=new_box("right", 24, TOY_WINDOW_PX),
                    caption="a lake",
                    global_caption=GLOBAL,
                    view=known[i],
                    generator=window_generator(i, box, "right"),
                )
                for i in chosen
            ]
        )

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # More threads hide that convolutions of 16 rows round differently.
    try:
        together = draw(list(range(9)))
        for i in (0, 8):
            np.testing.assert_array_equal(draw([i])[0], together[i])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_windows_drawn_together_are_the_windows_drawn_alone(direction: Direction, pipeline: OutpaintPipeline) -> None:
    outpainter = Outpainter(pipeline, config=_config())
    known = np.random.default_rng(8).integers(0, 256, (3, TOY_WINDOW_PX, TOY_WINDOW_PX, 3), dtype=np.uint8)
    boxes = [Box(100 * i, 0, 100 * i + TOY_WINDOW_PX, TOY_WINDOW_PX) for i in range(3)]
    captions = ["a lake", "a town", "a desert"]

    def draw(chosen: Sequence[int]) -> np.ndarray:
        return outpainter.draw(
            [
                WindowRequest(
                    window=boxes[i],
                    known=known[i],
                    new=new_box(direction, 24, TOY_WINDOW_PX),
                    caption=captions[i],
                    global_caption=GLOBAL,
                    view=known[i],
                    generator=window_generator(0, boxes[i], direction),
                )
                for i in chosen
            ]
        )

    together = draw([0, 1, 2])
    for i in range(3):
        np.testing.assert_array_equal(draw([i])[0], together[i])
    kept = {"left": np.s_[:, :, 24:], "right": np.s_[:, :, :40], "up": np.s_[:, 24:], "down": np.s_[:, :40]}[direction]
    np.testing.assert_array_equal(together[kept], known[kept])


def test_a_captioner_is_shown_the_view_and_its_own_captions(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    captioner = ScriptedCaptioner(["a lake with a red boat.", "a blue boat on a lake"])
    canvas = Canvas.create(tmp_path, IMAGE)
    _grow(Outpainter(pipeline, captioner, _config()), canvas, "right:2")
    assert [asked["previous"] for asked in captioner.asked] == [[], ["a lake with a red boat"]]
    assert [asked["seen"] for asked in captioner.asked] == [[], ["a lake", "a red boat"]]
    assert [asked["view"].size for asked in captioner.asked] == [(64, 64), (64, 64)]
    assert [(record.local_caption, record.caption_source) for record in canvas.journal] == [
        ("a lake with a red boat", "scripted"),
        ("a blue boat on a lake", "scripted"),
    ]
    assert [record.caption_similarity for record in canvas.journal] == [None, 0.5]


@pytest.mark.parametrize(
    ("answer", "cause"), [(CaptionError("away", "connection"), "connection"), ("", "no_word"), (" .\n", "no_word")]
)
def test_rules_stand_in_for_a_captioner_that_fails(
    tmp_path: Path, pipeline: OutpaintPipeline, answer: str | CaptionError, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    canvas = Canvas.create(tmp_path, IMAGE)
    _grow(Outpainter(pipeline, ScriptedCaptioner([answer]), _config()), canvas, "right")
    assert canvas.record(0).caption_source == "rules"
    assert canvas.record(0).caption_instead_of == f"scripted: {cause}"
    assert canvas.record(0).local_caption == "a lake"
    assert "captioner scripted wrote no caption" in caplog.text


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    ("source", "span", "depth"),
    [("canvas_so_far", None, 64), ("canvas_so_far", 200, 80), ("visible_part_of_window", None, 40)],
)
def test_the_view_is_known_and_lies_at_the_growing_side(
    tmp_path: Path, pipeline: OutpaintPipeline, direction: Direction, source: Any, span: int | None, depth: int
) -> None:
    captioner = ScriptedCaptioner(["a lake"])
    canvas = Canvas.create(tmp_path, IMAGE)
    config = _config(visual_source=source, visual_span_px=span)
    _grow(Outpainter(pipeline, captioner, config), canvas, direction)
    sideways = direction in ("left", "right")
    assert captioner.asked[0]["view"].size == ((depth, 64) if sideways else (64, min(depth, 70)))


def test_what_the_encoder_does_not_read_stands_in_the_record(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    canvas = Canvas.create(tmp_path, IMAGE)
    long = "a meadow with a red barn " * 40 + "at the end"
    _grow(Outpainter(pipeline, ScriptedCaptioner([long, "a lake"]), _config()), canvas, "right:2")
    assert canvas.record(0).truncated["local"].endswith("at the end")
    assert canvas.record(1).truncated == {}


def test_a_scheduler_is_chosen_by_name(model: Path) -> None:
    pipeline = load_pipeline(model)
    Outpainter(pipeline, config=_config(scheduler="DPMSolverMultistepScheduler"))
    assert type(pipeline.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert pipeline.scheduler.config.prediction_type == "v_prediction"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_inference_steps": 0}, "at least 1, got 0"),
        ({"guidance_scale": 0.5}, "at least 1"),
        ({"guidance_rescale": 1.5}, r"in \[0, 1\]"),
        ({"left_out": "global,caption"}, "left_out must be of local, global, visual, got 'global,caption'"),
        ({"seam_reach_px": -1}, "not be negative"),
        ({"seam_feather_cells": -1}, "not be negative"),
        ({"visual_span_px": 0}, "must be positive"),
        ({"visual_refresh_every": 0}, "visual_refresh_every must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config(**changes)


def test_an_overlap_that_does_not_fit_the_model_is_refused(pipeline: OutpaintPipeline) -> None:
    with pytest.raises(ValueError, match="overlap_px must be a multiple of 8, got 30; try 32"):
        Outpainter(pipeline, config=_config(overlap_px=30))
    with pytest.raises(ValueError, match="between 8 and 56, got 64"):
        Outpainter(pipeline, config=_config(overlap_px=64))
