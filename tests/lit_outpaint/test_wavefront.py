"""Plans that are more than a row of strips: batches of independent windows, corners, rings, edits."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lit_outpaint.canvas.edits import Edit
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.drawing.caption_queue import CaptionQueue
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.drawing.steps import StepsEngine
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import OutpaintPipeline
from lit_outpaint.protocols import Captioner, Written
from lit_outpaint.runs.global_view import global_view
from lit_outpaint.testing.models import ScriptedCaptioner

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"
IMAGE = np.random.default_rng(3).integers(0, 256, (64, 72, 3), dtype=np.uint8)
RECTANGLE = "to:168x112"


def _run(
    directory: Path,
    pipeline: OutpaintPipeline,
    plan: str,
    captioner: Captioner | None = None,
    edits: list[Edit] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Canvas:
    if not directory.exists():
        directory.mkdir()
        Canvas.create(directory, IMAGE, chunk_px=32)
    config = OutpainterConfig(**{"num_inference_steps": 1, "overlap_px": 40, **changes})
    outpainter = Outpainter(pipeline, captioner, config)
    canvas = Canvas.open(directory)
    graph = outpainter.lay_out(parse_plan(plan), canvas.image_box)
    return outpainter.run(canvas, graph, GLOBAL, edits=edits or [], should_stop=should_stop)


def _records(canvas: Canvas) -> list[StepRecord]:
    return [record.model_copy(update={"seconds": 0.0}) for record in canvas.journal]


def _pixels(canvas: Canvas) -> np.ndarray:
    return canvas.read(canvas.box)


def _after(number: int) -> Callable[[], bool]:
    """Says so when it is asked for the time after ``number``."""
    calls = count()
    return lambda: next(calls) >= number


@pytest.mark.parametrize(("plan", "sizes"), [(RECTANGLE, (3, 99)), ("right:3,left:2,up:2", (2,))])
def test_the_batch_size_changes_no_byte(
    tmp_path: Path, pipeline: OutpaintPipeline, plan: str, sizes: tuple[int, ...]
) -> None:
    one, *others = (_run(tmp_path / str(size), pipeline, plan, batch_size=size) for size in (1, *sizes))
    for other in others:
        assert _records(one) == _records(other)
        np.testing.assert_array_equal(_pixels(one), _pixels(other))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_run_that_stops_between_batches_of_another_size_goes_on_to_the_same_bytes(
    tmp_path: Path, pipeline: OutpaintPipeline, guidance: float
) -> None:
    whole = _run(tmp_path / "whole", pipeline, RECTANGLE, guidance_scale=guidance)
    for size, num_batches in ((2, 3), (5, 2), (1, 99)):
        parts = _run(
            tmp_path / "parts",
            pipeline,
            RECTANGLE,
            batch_size=size,
            should_stop=_after(num_batches),
            guidance_scale=guidance,
        )
    assert _records(parts) == _records(whole)
    np.testing.assert_array_equal(_pixels(parts), _pixels(whole))


def test_a_rectangle_is_filled_with_its_corners_and_keeps_the_image(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    canvas = _run(tmp_path / "run", pipeline, RECTANGLE)
    assert (canvas.box.width, canvas.box.height) == (168, 112)
    assert canvas.known == [canvas.box]
    np.testing.assert_array_equal(canvas.read(canvas.image_box), IMAGE)
    for record in canvas.journal:
        assert canvas.read(record.strip_box).std() > 1


@pytest.mark.parametrize("seam", ["none", "poisson"])
def test_a_ring_is_drawn_against_the_pixels_at_its_beginning(
    tmp_path: Path, pipeline: OutpaintPipeline, seam: Any
) -> None:
    ring = _run(tmp_path / "ring", pipeline, "loop:4", seam=seam)
    assert ring.box == Box(0, 0, 72 + 4 * 24, 64)
    assert ring.record(3).window == (144 - 16, 0, 144 + 48, 64)
    plain = _run(tmp_path / "plain", pipeline, "right:3", seam=seam)
    np.testing.assert_array_equal(ring.read(plain.box), _pixels(plain))
    other = IMAGE.copy()
    other[:, :24] = 255 - other[:, :24]
    (tmp_path / "other").mkdir()
    canvas = Canvas.create(tmp_path / "other", other, chunk_px=32)
    closing = Box(144, 0, 168, 64)
    config = OutpainterConfig(num_inference_steps=1, overlap_px=40, seam=seam)
    outpainter = Outpainter(pipeline, config=config)
    outpainter.run(canvas, outpainter.lay_out(parse_plan("loop:4"), canvas.image_box), GLOBAL)
    assert (canvas.read(closing) != ring.read(closing)).any()


def test_an_edit_regrows_what_builds_on_the_step_and_undo_brings_it_back(
    tmp_path: Path, pipeline: OutpaintPipeline
) -> None:
    plan = "right:3,left:2,up:1"
    canvas = _run(tmp_path / "run", pipeline, plan)
    before, pixels = {record.step: record for record in _records(canvas)}, _pixels(canvas)
    edit = Edit(number=1, step=1, caption="a red barn", caption_source="edit", seed=7)
    edited = _run(tmp_path / "run", pipeline, plan, edits=[edit])
    after = {record.step: record for record in _records(edited)}
    changed = {step for step in before if after[step].checksum != before[step].checksum}
    assert changed == {1, 2}
    assert [after[step].revision for step in range(6)] == [0, 1, 1, 0, 0, 0]
    assert (after[1].local_caption, after[1].caption_source, after[2].caption_source) == ("a red barn", "edit", "rules")
    assert {step: after[step] for step in (0, 3, 4, 5)} == {step: before[step] for step in (0, 3, 4, 5)}
    same = Canvas.open(_run(tmp_path / "run", pipeline, plan, edits=[edit]).directory)
    edited_pixels = _pixels(edited)
    np.testing.assert_array_equal(_pixels(same), edited_pixels)

    never = ScriptedCaptioner(["asked for nothing"])
    undone = _run(tmp_path / "run", pipeline, plan, never, edits=[edit.model_copy(update={"undone": True})])
    assert never.asked == []
    assert {record.step: record for record in _records(undone)} == before
    np.testing.assert_array_equal(_pixels(undone), pixels)
    fresh = _run(tmp_path / "fresh", pipeline, plan, edits=[edit])
    np.testing.assert_array_equal(_pixels(fresh), edited_pixels)


class _SlowCaptioner(ScriptedCaptioner):
    """Takes its time, and sees or does not."""

    def __init__(self, seconds: float, sees: bool) -> None:
        super().__init__(["a lake", "a town", "a red barn"])
        self.seconds, self.sees, self.order = seconds, sees, list[int]()

    def identity(self, call: str) -> dict[str, Any]:
        return {"sees": self.sees}

    def next_local(self, **asked: Any) -> Written:
        time.sleep(self.seconds)
        self.order.append(asked["step"])
        assert (asked["view"] is not None) == self.sees
        return Written(f"caption {asked['step']} after {'; '.join(asked['previous'][-2:])}"[:60], self.name)


def test_the_latency_of_a_captioner_is_hidden_where_it_does_not_look(
    tmp_path: Path, pipeline: OutpaintPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_take, plain_draw = CaptionQueue.take, StepsEngine.draw
    waited = 0.0

    def take(self: CaptionQueue, batch: Sequence[int]) -> list[Written]:
        nonlocal waited
        started = time.perf_counter()
        captions = plain_take(self, batch)
        waited += time.perf_counter() - started
        return captions

    def draw(self: StepsEngine, requests: Sequence[WindowRequest]) -> np.ndarray:
        time.sleep(0.15)
        return plain_draw(self, requests)

    monkeypatch.setattr(CaptionQueue, "take", take)
    monkeypatch.setattr(StepsEngine, "draw", draw)
    waits = []
    for sees in (False, True):
        waited = 0.0
        _run(tmp_path / str(sees), pipeline, "right:6", _SlowCaptioner(0.15, sees))
        waits.append(waited)
    hidden, looking = waits
    assert looking > 6 * 0.15  # A captioner that looks at the newest pixels must wait for them.
    assert hidden < 0.5 * looking  # Of the other, one of six waits is left.


def test_captions_do_not_depend_on_when_they_are_asked_for(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    texts = []
    for name, size, sees in (("one", 1, False), ("all", 99, False), ("sees", 2, True)):
        captioner = _SlowCaptioner(0.0, sees)
        canvas = _run(tmp_path / name, pipeline, "right:3,left:3,up:1", captioner, batch_size=size)
        texts.append({record.step: record.local_caption for record in canvas.journal})
        assert sorted(captioner.order) == list(range(7))
    assert texts[0] == texts[1] == texts[2]
    assert texts[0][4] == "caption 4 after caption 0 after; caption 3 after"


def test_captions_written_ahead_are_written_once(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    captioner = _SlowCaptioner(0.0, sees=True)
    captioner.sees = False  # Nothing is drawn yet, so nothing is shown to it.
    _run(tmp_path / "run", pipeline, "right:3", captioner, captions_ahead=True, should_stop=_after(2))
    assert len((tmp_path / "run" / "captions.jsonl").read_text().splitlines()) == 2
    with (tmp_path / "run" / "captions.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "te')
    canvas = _run(tmp_path / "run", pipeline, "right:3", captioner, captions_ahead=True)
    assert [captioner.order.count(step) for step in (0, 1)] == [1, 1]
    assert canvas.record(0).local_caption == "caption 0 after"
    assert len((tmp_path / "run" / "captions.jsonl").read_text().splitlines()) == 3


def test_captions_of_the_plan_need_no_captioner(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    captioner = ScriptedCaptioner(["a town"])
    plan = "[{'direction': 'right', 'caption': 'a red barn'}, 'right:1']"
    canvas = _run(tmp_path / "run", pipeline, plan, captioner)
    assert [(record.local_caption, record.caption_source) for record in canvas.journal] == [
        ("a red barn", "plan"),
        ("a town", "scripted"),
    ]
    assert captioner.asked[0]["previous"] == ["a red barn"]


def test_the_view_is_kept_between_refreshes(
    tmp_path: Path, pipeline: OutpaintPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    plain = StepsEngine.draw

    def draw(self: StepsEngine, requests: Sequence[WindowRequest]) -> np.ndarray:
        seen.extend(request.view for request in requests)
        return plain(self, requests)

    monkeypatch.setattr(StepsEngine, "draw", draw)
    _run(tmp_path / "run", pipeline, "right:5", visual_refresh_every=2)
    same = [np.array_equal(one, other) for one, other in pairwise(seen)]
    assert same == [True, False, True, False]


def test_one_picture_of_the_scene_may_stand_for_the_canvas(
    tmp_path: Path, pipeline: OutpaintPipeline, model: Path
) -> None:
    (tmp_path / "view").mkdir()
    settings: dict[str, Any] = {"seed": 1, "num_inference_steps": 1, "guidance_scale": 2.0}
    picture = global_view(model, GLOBAL, tmp_path / "view", **settings)
    assert picture.shape == (64, 64, 3)
    np.testing.assert_array_equal(global_view(Path("nowhere"), GLOBAL, tmp_path / "view", **settings), picture)
    with pytest.raises(ValueError, match="needs a text-to-image model beneath"):
        global_view(tmp_path, GLOBAL, tmp_path, **settings)

    source: dict[str, Any] = {"visual_source": "image_from_global_caption", "num_inference_steps": 1, "overlap_px": 40}
    with pytest.raises(ValueError, match="needs a picture, global_view"):
        Outpainter(pipeline, config=OutpainterConfig(**source))
    drawn = []
    for name, view in (("picture", picture), ("black", np.zeros_like(picture))):
        (tmp_path / name).mkdir()
        canvas = Canvas.create(tmp_path / name, IMAGE)
        outpainter = Outpainter(pipeline, config=OutpainterConfig(**source), global_view=partial(np.copy, view))
        outpainter.run(canvas, outpainter.lay_out(parse_plan("right"), canvas.image_box), GLOBAL)
        drawn.append(canvas.record(0).checksum)
    assert drawn[0] != drawn[1]


def test_a_canvas_of_another_plan_is_refused(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    _run(tmp_path / "run", pipeline, "right:2")
    others: list[tuple[str, dict[str, Any]]] = [("left:2", {}), ("right:1", {}), ("right:2", {"overlap_px": 32})]
    for plan, changes in others:
        with pytest.raises(ValueError, match="drawn by another plan, window size or overlap: its step"):
            _run(tmp_path / "run", pipeline, plan, **changes)


def test_feathered_latents_want_windows_with_one_joint(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    assert _run(tmp_path / "strips", pipeline, "right:1,up:1", seam_feather_cells=2).num_steps == 2
    with pytest.raises(ValueError, match="seam_feather_cells needs windows with one seam"):
        _run(tmp_path / "corners", pipeline, RECTANGLE, seam_feather_cells=2)
