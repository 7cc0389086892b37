"""What is asked of a run that is damaged, or whose latest change is not drawn yet."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from lit_outpaint.canvas.store import Canvas
from lit_outpaint.cli.outpaint import main
from lit_outpaint.runs.fingerprint import fingerprint
from lit_outpaint.runs.record import OutpaintRecord
from lit_outpaint.testing.outpaint import argv_of, pixel_files_of, records_of

Cut = Callable[..., int]


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """Runs the command and kills it after so many commits."""

    def run(argv: Sequence[str], after: int = 0) -> int:
        commit, left = Canvas.commit, [after]

        def killed(canvas: Canvas, steps: Sequence[Any]) -> None:
            if steps:
                left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            commit(canvas, steps)

        with monkeypatch.context() as patches:
            patches.setattr(Canvas, "commit", killed)
            return main(list(argv))

    return run


@pytest.fixture
def run(arguments: dict[str, str]) -> Path:
    """A finished run of two steps."""
    assert main(argv_of({**arguments, "--steps": "right:2"})) == 0
    return Path(arguments["--out"])


def _steps(run: Path) -> dict[int, dict[str, Any]]:
    return {record["step"]: record for record in records_of(run)}


def _edits(run: Path) -> list[tuple[int, int, bool]]:
    return [(edit.step, edit.seed, edit.undone) for edit in OutpaintRecord.load(run).edits]


def test_a_damaged_run_is_drawn_before_it_is_exported(run: Path) -> None:
    before = np.asarray(Image.open(run / "panorama.png"))
    last = max((run / "canvas.zarr" / "c").glob("*/*/0"))
    last.write_bytes(last.read_bytes()[:10])
    assert main(["--resume", str(run), "--export", "tiff"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(run / "panorama.tif")), before)
    np.testing.assert_array_equal(np.asarray(Image.open(run / "panorama.png")), before)
    assert OutpaintRecord.load(run).finished


def test_a_format_that_lies_there_is_asked_for_before_more_is_drawn(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "panorama.webp").write_bytes(b"of 128 px")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["--resume", str(run), "--steps", "right:600"]) == 2  # WebP holds 16,383 px.
    assert f"{run / 'panorama.webp'} could not be renewed" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    (run / "panorama.webp").unlink()
    assert main(["--resume", str(run), "--steps", "right:1"]) == 0


def test_an_undo_is_done_while_added_steps_are_not_drawn(run: Path, cut_short: Cut) -> None:
    resume, drawn = ["--resume", str(run)], _steps(run)
    for seed in ("5", "6"):
        assert main([*resume, "--edit_step", "1", "--edit_seed", seed]) == 0
    assert main([*resume, "--undo"]) == 0
    assert cut_short([*resume, "--steps", "left:1"]) == 130
    assert cut_short([*resume, "--steps", "left:1"]) == 130  # Continued, not added again.
    assert OutpaintRecord.load(run).steps == ["right:2", "left:1"]
    assert cut_short([*resume, "--undo"]) == 130
    assert main([*resume, "--undo"]) == 0
    assert _edits(run) == [(1, 5, True), (1, 6, True)]
    assert {step: record for step, record in _steps(run).items() if step < 2} == drawn
    assert len(_steps(run)) == 3


def test_a_change_waits_for_an_edit_that_is_not_drawn_and_says_so(
    run: Path, cut_short: Cut, capsys: pytest.CaptureFixture[str]
) -> None:
    resume, edit = ["--resume", str(run)], ["--edit_step", "1", "--edit_seed", "5"]
    assert main([*resume, "--steps", "left:1"]) == 0
    assert cut_short([*resume, *edit]) == 130
    for change in (["--steps", "left:1"], ["--edit_step", "0", "--edit_seed", "5"]):
        capsys.readouterr()
        assert main([*resume, *change]) == 2
        assert "the edit of step 1 is not finished" in capsys.readouterr().err
    assert main([*resume, *edit]) == 0
    assert cut_short([*resume, "--undo"]) == 130
    assert main([*resume, "--steps", "left:1"]) == 2
    assert "the undo is not finished" in capsys.readouterr().err
    assert main(resume) == 0
    assert (_edits(run), OutpaintRecord.load(run).steps) == ([(1, 5, True)], ["right:2", "left:1"])


def test_a_step_is_edited_while_added_ones_are_not_drawn(run: Path, cut_short: Cut) -> None:
    resume = ["--resume", str(run)]
    assert main([*resume, "--edit_step", "1", "--edit_seed", "5"]) == 0
    assert cut_short([*resume, "--steps", "left:1"]) == 130
    assert main([*resume, "--edit_step", "0", "--edit_seed", "6"]) == 0
    assert {step: record["revision"] for step, record in _steps(run).items()} == {0: 2, 1: 2, 2: 0}


def test_an_edit_that_changes_nothing_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for nothing in (["--edit_seed", "0"], ["--edit_caption", _steps(run)[1]["local_caption"]]):
        assert main(["--resume", str(run), "--edit_step", "1", *nothing]) == 2
        assert "step 1 has that caption and seed 0 already" in capsys.readouterr().err
    assert _edits(run) == []


def test_windows_of_a_pass_that_was_cut_short_are_not_edited(
    arguments: dict[str, str], tmp_path: Path, cut_short: Cut, capsys: pytest.CaptureFixture[str]
) -> None:
    joint = {**arguments, "--steps": "right:3", "--engine": "joint"}
    assert cut_short(argv_of(joint), after=2) == 130
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    assert sorted(_steps(run)) == [0, 1]
    assert main(["--resume", str(run), "--edit_step", "1", "--edit_seed", "5"]) == 2
    assert "step 1 counts once all windows" in capsys.readouterr().err
    assert main(["--resume", str(run)]) == 0
    assert main(argv_of({**joint, "--out": str(undisturbed)})) == 0
    assert pixel_files_of(run) == pixel_files_of(undisturbed)


@pytest.mark.slow
def test_an_edit_keeps_nothing_of_a_pass_that_was_cut_short(
    arguments: dict[str, str], tmp_path: Path, cut_short: Cut
) -> None:
    drawn = {}
    for name, kill in (("cut", True), ("undisturbed", False)):
        run = tmp_path / name
        assert main(argv_of({**arguments, "--steps": "right:1", "--engine": "joint", "--out": str(run)})) == 0
        resume = ["--resume", str(run)]
        added = [*resume, "--steps", "right:3"]
        assert (cut_short(added, after=2) if kill else main(added)) == (130 if kill else 0)
        for change in (["--edit_step", "0", "--edit_seed", "5"], ["--undo"]):
            assert main([*resume, *change]) == 0
        drawn[name] = _steps(run)
    assert drawn["cut"] == drawn["undisturbed"]


def test_a_version_that_was_never_drawn_is_refused(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([*argv_of({**arguments, "--steps": "right:2"}), "--candidates", "2"]) == 0
    resume, other = ["--resume", str(run)], 1 - _steps(run)[1]["candidate"]
    assert main([*resume, "--edit_step", "1", "--candidate", str(other)]) == 0
    assert main([*resume, "--edit_step", "0", "--edit_seed", "9"]) == 0  # Draws the chosen version of step 1 alone.
    before = (run / "run.yaml").read_bytes()
    for number in range(3):
        assert main([*resume, "--edit_step", "1", "--candidate", str(number)]) == 2
        error = capsys.readouterr().err
        assert f"step 1 shows its version {other}" in error
        assert "there is none" in error
    assert (run / "run.yaml").read_bytes() == before
    assert main([*resume, "--undo"]) == 0
    assert main([*resume, "--edit_step", "1", "--candidate", str(1 - other)]) == 0
    assert _steps(run)[1]["candidate"] == 1 - other


def test_a_run_from_before_these_were_recorded_continues(
    arguments: dict[str, str], tmp_path: Path, cut_short: Cut
) -> None:
    argv, run = argv_of({**arguments, "--steps": "right:2"}), tmp_path / "run"
    assert cut_short(argv, after=1) == 130
    for command in (argv, ["--resume", str(run), "--steps", "left:1"], ["--resume", str(run), "--steps", "left:1"]):
        said = yaml.safe_load((run / "run.yaml").read_text())
        del said["pending"]
        said["model_fingerprint"] = fingerprint(arguments["--model"], like="")
        (run / "run.yaml").write_text(yaml.safe_dump(said))
        assert main(command) == 0
    assert len(_steps(run)) == 4
    assert OutpaintRecord.load(run).model_fingerprint == fingerprint(arguments["--model"], like="")
