"""The command line beyond strips: rectangles, rings, plan files, edits, undo, Ctrl-C, and kills at random moments."""

import json
import os
import random
import signal
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from lit_outpaint.cli.outpaint import main

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"


@pytest.fixture
def outpaint(tmp_path: Path, model: Path) -> Callable[..., list[str]]:
    """The arguments of a new run in ``tmp_path / "run"``, of a picture of 70 x 64 px."""
    pixels = np.random.default_rng(3).integers(0, 256, (64, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    given = {"image": tmp_path / "in.png", "caption": GLOBAL, "out": tmp_path / "run", "model": model, "device": "cpu"}

    def arguments(**more: Any) -> list[str]:
        named = {**given, "num_inference_steps": 1, **more}
        return [part for name, value in named.items() for part in (f"--{name}", str(value))]

    return arguments


def _records(run: Path) -> list[dict[str, Any]]:
    """The journal without the wall times."""
    return [{**json.loads(line), "seconds": None} for line in (run / "steps.jsonl").read_text().splitlines()]


def _files(run: Path) -> dict[str, bytes]:
    """Every byte of the picture: all files of the array, and the panorama."""
    files = [path for path in (run / "canvas.zarr").rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in [*files, run / "panorama.png"]}


def test_a_rectangle_is_filled_around_a_picture_that_is_trimmed_to_whole_cells(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(outpaint(to="128x96")) == 0
    assert "image: trimmed to 64 x 64 px, because a rectangle is filled in cells of 8 px" in capsys.readouterr().out
    panorama = np.asarray(Image.open(tmp_path / "run" / "panorama.png"))
    assert panorama.shape == (96, 128, 3)  # No pixel is unknown, so there is no alpha channel.
    np.testing.assert_array_equal(panorama[:64, 32:96], np.asarray(Image.open(tmp_path / "in.png"))[:, :64])
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["steps"] == ["to:128x96"]
    assert main(["--resume", str(tmp_path / "run"), "--to", "160x96"]) == 0
    assert Image.open(tmp_path / "run" / "panorama.png").size == (160, 96)


def test_a_ring_says_how_long_it_is(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(outpaint(loop=3)) == 0
    assert "the ring is 166 px around" in capsys.readouterr().out
    assert Image.open(tmp_path / "run" / "panorama.png").size == (166, 64)
    assert main(["--resume", str(tmp_path / "run"), "--steps", "right:1"]) == 2
    assert "a ring is closed" in capsys.readouterr().err


def test_a_plan_file_is_kept_in_the_record(outpaint: Callable[..., list[str]], tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("- right:1\n- direction: left\n  caption: a red barn\n- window: [-32, -32]\n")
    assert main(outpaint(plan=plan)) == 0
    plan.unlink()
    records = {record["step"]: record for record in _records(tmp_path / "run")}
    assert [records[step]["direction"] for step in range(3)] == ["right", "left", "up"]
    assert records[1]["local_caption"] == "a red barn"
    assert records[2]["window"] == [-32, -32, 32, 32]
    assert main(["--resume", str(tmp_path / "run")]) == 0


def test_a_step_is_edited_and_the_edit_undone(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(outpaint(steps="right:2,left:1")) == 0
    files, records = _files(run), {record["step"]: record for record in _records(run)}
    resume = ["--resume", str(run)]
    assert main([*resume, "--edit_step", "0", "--edit_caption", "a kite"]) == 0
    assert "continuing after 1 of 3 steps" in capsys.readouterr().out
    edited = {record["step"]: record for record in _records(run)}
    assert edited[0]["local_caption"] == "a kite"
    assert [edited[step]["checksum"] == records[step]["checksum"] for step in range(3)] == [False, False, True]
    assert main([*resume, "--edit_step", "2", "--edit_seed", "5"]) == 0
    again = {record["step"]: record for record in _records(run)}
    assert (again[2]["local_caption"], again[2]["caption_source"]) == (records[2]["local_caption"], "rules")
    assert again[2]["seed"] != records[2]["seed"]
    assert again[0] == edited[0]
    assert main([*resume, "--undo"]) == 0
    capsys.readouterr()
    assert main([*resume, "--undo"]) == 0
    said = capsys.readouterr().out
    assert f"step 0 right (not drawn, put back from kept/): {records[0]['local_caption']}" in said
    assert " s): " not in said, "nothing was drawn"
    assert {record["step"]: record for record in _records(run)} == records
    # The panorama's own story of the run lists its steps in the order of the journal.
    assert {name: data for name, data in _files(run).items() if name != "panorama.png"} == {
        name: data for name, data in files.items() if name != "panorama.png"
    }
    assert main([*resume, "--undo"]) == 2
    assert "this run has none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--edit_step", "9", "--edit_seed", "1"], "must be one that"),
        (["--edit_step", "0", "--edit_seed", "-1"], "--edit_seed must not be negative, got -1"),
        (["--edit_step", "0"], "--edit_step needs --edit_caption or --edit_seed"),
        (["--edit_caption", "a lake"], "--edit_caption, --edit_seed and --candidate need --edit_step"),
        (["--undo", "--steps", "right:1"], "one at a time"),
        (["--steps", "right:1", "--to", "512x512"], "one of --steps, --to, --loop, --plan, got --steps and --to"),
        (["--to", "103x64"], "must be the size"),
    ],
)
def test_a_change_that_cannot_be_made_leaves_the_run_as_it_was(
    outpaint: Callable[..., list[str]],
    tmp_path: Path,
    more: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(outpaint(steps="right:1", image=_square(tmp_path))) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert main(["--resume", str(tmp_path / "run"), *more]) == 2
    error = capsys.readouterr().err
    assert message.replace("must be the size", "the size must be what is there, 96 px wide") in error
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def _square(directory: Path) -> Path:
    Image.new("RGB", (64, 64), "green").save(directory / "square.png")
    return directory / "square.png"


def test_what_cannot_be_begun_is_refused_and_leaves_nothing(
    outpaint: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = namedtuple("room", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: room(10**6, 10**6 - 10**4, 10**4))
    assert main(outpaint(to="640x640")) == 2
    assert "the canvas may take 0.0012 GB more, " in capsys.readouterr().err
    assert main(outpaint(steps="right:16,down:16")) == 2, "1,024 px each way"
    assert "the canvas may take 0.00021 GB more, " in capsys.readouterr().err, "the steps alone, not the box around"
    assert main(outpaint(steps="right:1", edit_step=0)) == 2
    assert "--edit_step needs --resume" in capsys.readouterr().err
    assert main(outpaint(to="100000064x65600")) == 2
    assert "a plan may have 1000000 steps" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def _num_lines(run: Path) -> int:
    journal = run / "steps.jsonl"
    return len(journal.read_bytes().splitlines()) if journal.exists() else 0


def _after_next_step(run: Path, is_alive: Callable[[], bool] = lambda: True) -> None:
    lines, patience = _num_lines(run), time.monotonic() + 120
    while _num_lines(run) == lines and is_alive() and time.monotonic() < patience:
        time.sleep(0.002)


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)

    def press() -> None:
        _after_next_step(run)
        os.kill(os.getpid(), signal.SIGINT)

    for argv in (outpaint(steps="right:300"), ["--resume", str(run)]):
        before = _num_lines(run)
        pressing = threading.Thread(target=press)
        pressing.start()
        assert main(argv) == 130
        pressing.join()
        done = _num_lines(run)
        assert before < done < 300
        said = f"stopped after {done} of 300 steps; continue with: python -m lit_outpaint outpaint --resume {run}\n"
        assert said in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) == handler


def _kill(processes: Any, argv: list[str], until: Callable[[Any], object], wait_s: float) -> bool:
    """Start a run and kill it a moment after ``until`` returned, if it lives so long."""
    process = processes.Process(target=main, args=(argv,))
    process.start()
    until(process)
    process.join(wait_s)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode < 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"candidates": 2}, {"engine": "joint"}], ids=["steps", "candidates", "joint"])
def test_a_rectangle_killed_thirty_times_ends_with_the_bytes_of_an_undisturbed_one(
    outpaint: Callable[..., list[str]], tmp_path: Path, processes: Any, how: dict[str, Any]
) -> None:
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    plan: dict[str, Any] = {"to": "288x224", "image": _square(tmp_path), "batch_size": 2, **how}
    lasted: list[float] = []

    def to_the_end(process: Any) -> None:
        while process.is_alive() and not (undisturbed / "run.yaml").exists():
            time.sleep(0.002)
        begin = time.monotonic()
        process.join()
        lasted.append(time.monotonic() - begin)

    assert not _kill(processes, outpaint(**plan, out=undisturbed), to_the_end, 0)
    assert len(_records(undisturbed)) == 47
    # Windows that are denoised together have no step to wait for until all of them are done; a kill must come sooner.
    begun, wait_s = (run / "run.yaml", 0.8 * lasted[0]) if how.get("engine") == "joint" else (None, 0.2)

    def until(process: Any) -> None:
        if begun is None:
            _after_next_step(run, process.is_alive)
        else:
            while process.is_alive() and not begun.exists():
                time.sleep(0.002)

    seed = random.SystemRandom().randrange(10**9)
    dice = random.Random(seed)
    kills = sum(_kill(processes, outpaint(**plan), until, dice.random() * wait_s) for _ in range(30))
    said = f"killed {kills} times, dice seed {seed}"
    assert kills >= 10, said
    assert main(outpaint(**plan)) == 0
    assert _records(run) == _records(undisturbed), said
    assert _files(run) == _files(undisturbed), said
