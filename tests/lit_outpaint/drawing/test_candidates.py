"""Several versions of each window: how one is chosen, what is kept of the others, and how one takes another."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.cli.outpaint import main
from lit_outpaint.drawing.candidates import SeamScorer, WeightedScorer, choose
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import OutpaintPipeline
from lit_outpaint.protocols import Candidate, CandidateScorer

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"
IMAGE = np.random.default_rng(3).integers(0, 256, (64, 72, 3), dtype=np.uint8)


class _Given:
    """Gives the scores it was made with."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        return self.scores


def _candidate(window: np.ndarray, decoded: np.ndarray, new: Box) -> Candidate:
    return Candidate(window, decoded, new, "a lake", GLOBAL)


def _run(directory: Path, pipeline: OutpaintPipeline, plan: str, **changes: Any) -> Canvas:
    directory.mkdir()
    config = OutpainterConfig(**{"num_inference_steps": 1, "overlap_px": 40, **changes})
    canvas = Canvas.create(directory, IMAGE, chunk_px=32)
    outpainter = Outpainter(pipeline, config=config)
    return outpainter.run(canvas, outpainter.lay_out(parse_plan(plan), canvas.image_box), GLOBAL)


def _records(canvas: Canvas) -> dict[int, StepRecord]:
    return {record.step: record.model_copy(update={"seconds": 0.0}) for record in canvas.journal}


@pytest.mark.parametrize(
    ("new", "beside"),
    [
        (Box(10, 0, 16, 16), [np.s_[:, 8:10]]),
        (Box(0, 0, 6, 16), [np.s_[:, 6:8]]),
        (Box(4, 6, 16, 16), [np.s_[6:, 2:4], np.s_[4:6, 4:]]),
        (Box(5, 0, 11, 16), [np.s_[:, 3:5], np.s_[:, 11:13]]),
    ],
)
def test_the_seam_scorer_reads_the_known_pixels_beside_every_joint_and_nothing_else(new: Box, beside: Any) -> None:
    window = np.random.default_rng(0).integers(0, 128, (16, 16, 3), dtype=np.uint8)
    everywhere_else, there = window + 51, window.copy()
    for part in beside:
        everywhere_else[part] = window[part]
        there[part] += 51
    versions = [_candidate(window, decoded, new) for decoded in (window, everywhere_else, there, window + 51)]
    assert SeamScorer(band_px=2).score(versions) == [0, 0, -0.2, -0.2]


def test_scores_are_weighed_and_the_first_of_equals_is_kept() -> None:
    three = [_candidate(IMAGE, IMAGE, Box(0, 0, 8, 64))] * 3
    scorer = WeightedScorer([_Given(1, 2, 3), _Given(1, 0.5, 0)], [1.0, 2.0])
    assert scorer.score(three) == [3, 3, 3]
    assert choose(scorer, three) == (0, (3, 3, 3))
    assert choose(_Given(0, 2, 2), three) == (1, (0, 2, 2))
    assert choose(_Given(), three[:1]) == (0, ())
    for bad in (_Given(1, 2), _Given(1, 2, float("nan"))):
        with pytest.raises(ValueError, match="_Given must give a finite score to each of 3 versions"):
            choose(bad, three)
    with pytest.raises(ValueError, match="one weight per scorer, got 1 for 2"):
        WeightedScorer([_Given(), _Given()], [1.0])
    with pytest.raises(ValueError, match="band_px must be at least 1"):
        SeamScorer(0)
    assert isinstance(scorer, CandidateScorer)


def test_the_best_version_is_kept_and_the_first_is_what_a_single_one_would_be(
    tmp_path: Path, pipeline: OutpaintPipeline
) -> None:
    plain = _run(tmp_path / "plain", pipeline, "right:1,left:1")
    canvas = _run(tmp_path / "run", pipeline, "right:1,left:1", candidates=3)
    for step, record in _records(canvas).items():
        kept = {int(path.stem[-1]): np.load(path) for path in (tmp_path / "run" / "kept").glob(f"{step:06d}-0-c*.npz")}
        assert len(record.candidate_scores) == 3
        assert record.candidate == np.argmax(record.candidate_scores)
        assert {record.candidate, *kept} == {0, 1, 2}
        drawn = {number: file["pixels"] for number, file in kept.items()}
        drawn[record.candidate] = canvas.read(record.strip_box)
        np.testing.assert_array_equal(drawn[0], plain.read(record.strip_box))
        assert len({pixels.tobytes() for pixels in drawn.values()}) == 3


def test_neither_choice_nor_pixels_depend_on_the_batch_size(tmp_path: Path, pipeline: OutpaintPipeline) -> None:
    one, two, all_ = (
        _run(tmp_path / str(size), pipeline, "right:2,up:2", candidates=3, batch_size=size) for size in (1, 2, 99)
    )
    assert _records(one) == _records(two) == _records(all_)
    np.testing.assert_array_equal(one.read(one.box), all_.read(all_.box))


@pytest.fixture
def outpaint(tmp_path: Path, model: Path) -> Callable[..., int]:
    Image.fromarray(IMAGE).save(tmp_path / "in.png")
    given = {"image": tmp_path / "in.png", "caption": GLOBAL, "out": tmp_path / "run", "model": model, "device": "cpu"}

    def run(**more: Any) -> int:
        named = {**given, "num_inference_steps": 1, "overlap_px": 40, **more}
        return main([part for name, value in named.items() for part in (f"--{name}", str(value))])

    return run


def test_another_version_is_taken_without_drawing_it_and_the_first_choice_comes_back(
    outpaint: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert outpaint(steps="right:2,left:1", candidates=3) == 0
    before = _records(Canvas.open(run))
    first = before[0].candidate
    other, third = (number for number in range(3) if number != first)
    others = {number: np.load(run / "kept" / f"000000-0-c{number}.npz")["pixels"] for number in (other, third)}

    def take(number: int) -> dict[int, StepRecord]:
        assert main(["--resume", str(run), "--edit_step", "0", "--candidate", str(number)]) == 0
        return _records(Canvas.open(run))

    for number in (other, third):
        taken = take(number)
        np.testing.assert_array_equal(Canvas.open(run).read(taken[0].strip_box), others[number])
        assert taken[0].candidate == number
        assert taken[0].candidate_scores == before[0].candidate_scores
        assert taken[1].checksum != before[1].checksum  # It builds on the other.
        assert taken[2] == before[2]
    back = take(first)
    assert [back[step].checksum for step in range(3)] == [before[step].checksum for step in range(3)]
    for _ in range(3):
        assert main(["--resume", str(run), "--undo"]) == 0
    assert _records(Canvas.open(run)) == before
    capsys.readouterr()
    for number, message in ((first, f"shows its version {first}"), (3, f"kept: {other}, {third}, got 3")):
        assert main(["--resume", str(run), "--edit_step", "0", "--candidate", str(number)]) == 2
        assert message in capsys.readouterr().err
    assert main(["--resume", str(run), "--edit_step", "0", "--candidate", "1", "--edit_seed", "3"]) == 2
    assert "leave --edit_caption and --edit_seed out" in capsys.readouterr().err
    assert main(["--resume", str(run), "--candidate", "1"]) == 2
    assert "need --edit_step" in capsys.readouterr().err
    (run / "kept" / f"000000-0-c{other}.npz").unlink()
    assert main(["--resume", str(run), "--edit_step", "0", "--candidate", str(other)]) == 2
    assert f"kept: {third}, got {other}" in capsys.readouterr().err
    assert _records(Canvas.open(run)) == before


def test_a_taken_version_stays_chosen_when_what_it_builds_on_changes(
    outpaint: Callable[..., int], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert outpaint(steps="right:2", candidates=2) == 0
    number = 1 - _records(Canvas.open(run))[1].candidate
    assert main(["--resume", str(run), "--edit_step", "1", "--candidate", str(number)]) == 0
    assert main(["--resume", str(run), "--edit_step", "0", "--edit_seed", "9"]) == 0
    records = _records(Canvas.open(run))
    assert len(records[0].candidate_scores) == 2
    assert (records[1].candidate, records[1].candidate_scores, records[1].revision) == (number, (), 2)


def test_a_scorer_is_chosen_by_class_path(outpaint: Callable[..., int], tmp_path: Path) -> None:
    seam = "lit_outpaint.drawing.candidates.SeamScorer"
    assert outpaint(steps="right:1", candidates=2, scorer=seam, **{"scorer.band_px": 2}) == 0
    arguments = f"{{scorers: [{seam}], weights: [2]}}"
    weighted = f"{{class_path: lit_outpaint.drawing.candidates.WeightedScorer, init_args: {arguments}}}"
    assert outpaint(steps="right:1", candidates=2, scorer=weighted, out=tmp_path / "weighted") == 0
    assert outpaint(steps="right:1", candidates=2, out=tmp_path / "default", scorer="builtins.dict") == 2
    narrow, wide = (_records(Canvas.open(tmp_path / name))[0].candidate_scores for name in ("run", "weighted"))
    assert len(narrow) == len(wide) == 2
    assert narrow != wide
    assert main(["--resume", str(tmp_path / "weighted"), "--steps", "left:1"]) == 0
