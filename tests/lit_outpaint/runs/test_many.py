"""A directory of pictures: one run each, shared over real processes, whatever becomes of single pictures."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from lit_outpaint.cli.outpaint import main
from lit_outpaint.runs.many import scene_around
from lit_outpaint.protocols import CaptionError
from lit_outpaint.testing.models import ScriptedCaptioner
from lit_outpaint.testing.outpaint import outpaint_as_rank

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"
PICTURES = ("a.png", "b.png", "c.png")


@pytest.fixture
def outpaint(tmp_path: Path, model: Path) -> Callable[..., list[str]]:
    """The arguments of runs of three pictures."""
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(PICTURES):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.md").write_text("no picture")
    given = {"image": tmp_path / "in", "out": tmp_path / "runs", "model": model, "device": "cpu", "steps": "right:2"}

    def arguments(**more: Any) -> list[str]:
        named = {**given, "num_inference_steps": 1, **more}
        return [part for name, value in named.items() for part in (f"--{name}", str(value)) if value is not None]

    return arguments


def _checksums(run: Path) -> list[str]:
    return [json.loads(line)["checksum"] for line in (run / "steps.jsonl").read_text().splitlines()]


def _is_finished(run: Path) -> bool:
    return bool(yaml.safe_load((run / "run.yaml").read_text())["finished"])


def test_two_processes_share_the_pictures_and_a_broken_one_keeps_no_other(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: Any
) -> None:
    (tmp_path / "captions.txt").write_text("".join(f"{name}\t{GLOBAL} {name[0]}\n" for name in PICTURES))
    whole = (tmp_path / "in" / "b.png").read_bytes()
    (tmp_path / "in" / "b.png").write_bytes(whole[: len(whole) // 2])
    argv = outpaint(captions_from=tmp_path / "captions.txt")
    ranks = [processes.Process(target=outpaint_as_rank, args=(rank, 2, argv, tmp_path)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    said = [[(tmp_path / f"{rank}.{name}").read_text() for name in ("out", "err")] for rank in range(2)]
    assert [rank.exitcode for rank in ranks] == [0, 2], said
    assert "process 0 of 2: 2 drawn, 0 finished before, 0 failed" in said[0][0]
    assert "process 1 of 2: 0 drawn, 0 finished before, 1 failed" in said[1][0]
    (line,) = (line for line in said[1][1].splitlines() if line.startswith("error: "))
    assert line.startswith("error: b.png: the image")
    runs = tmp_path / "runs"
    assert sorted(path.name for path in runs.iterdir()) == ["a", "c"]
    assert yaml.safe_load((runs / "c" / "run.yaml").read_text())["config"]["caption"] == f"{GLOBAL} c"
    alone = outpaint(image=tmp_path / "in" / "c.png", caption=f"{GLOBAL} c", out=tmp_path / "alone")
    assert main(alone) == 0
    assert _checksums(runs / "c") == _checksums(tmp_path / "alone")

    (tmp_path / "in" / "b.png").write_bytes(whole)
    capsys.readouterr()
    assert main(argv) == 0
    assert "1 drawn, 2 finished before, 0 failed" in capsys.readouterr().out
    assert all(_is_finished(runs / name) for name in "abc")
    assert main(["--resume", str(runs / "b"), "--steps", "left:1"]) == 0


def test_the_same_command_goes_on_where_it_was_stopped(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "runs" / "a" / "steps.jsonl"

    def press() -> None:
        patience = time.monotonic() + 120
        while not journal.exists() and time.monotonic() < patience:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    argv = outpaint(caption=GLOBAL, steps="right:20")
    pressing = threading.Thread(target=press)
    pressing.start()
    assert main(argv) == 130
    pressing.join()
    assert "stopped at a.png; the same command continues" in capsys.readouterr().err
    done = len(_checksums(tmp_path / "runs" / "a"))
    assert 0 < done < 20
    for name in ("b.png", "c.png"):
        (tmp_path / "in" / name).unlink()
    assert main(argv) == 0
    assert f"continuing after {done} of 20 steps" in capsys.readouterr().out
    assert _is_finished(tmp_path / "runs" / "a")


def test_a_picture_without_a_caption_is_described_with_what_lies_around_it(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "green").save(tmp_path / "a.png")
    captioner = ScriptedCaptioner(["a meadow", "a lake", "a wide view: a meadow and lakes"])
    assert scene_around(tmp_path / "a.png", captioner) == "a wide view: a meadow and lakes"
    shown, imagined, summed = captioner.asked
    assert shown["image"].size == (64, 64)
    assert imagined == {"caption": "a meadow", "n": 4}
    assert summed["captions"] == ["a meadow", "a lake 0", "a lake 1", "a lake 2", "a lake 3"]
    with pytest.raises(CaptionError):
        scene_around(tmp_path / "a.png", ScriptedCaptioner([CaptionError("blind", "blind")]))


def test_pictures_of_one_name_are_runs_of_their_own_and_no_decoder_ends_the_others(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "photos"
    directory.mkdir()
    for colour, name in (("red", "photo.png"), ("blue", "photo.jpg"), ("green", "photo.png.jpg")):
        Image.new("RGB", (64, 64), colour).save(directory / name)
    Image.effect_noise((64, 64), 50).convert("RGB").save(directory / "broken.avif")
    whole = (directory / "broken.avif").read_bytes()
    begin = whole.index(b"mdat") + 4
    (directory / "broken.avif").write_bytes(whole[:begin] + bytes(len(whole) - begin))
    (directory / "._photo.png").write_bytes(b"what macOS keeps beside it")
    assert main(outpaint(image=directory, caption=GLOBAL, steps="right:1")) == 2
    said = capsys.readouterr()
    assert "3 drawn, 0 finished before, 1 failed" in said.out
    (line,) = (line for line in said.err.splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: broken.avif: the image {directory / 'broken.avif'} cannot be read: ")
    runs = {path.name: np.asarray(Image.open(path / "panorama.png"))[32, 0] for path in (tmp_path / "runs").iterdir()}
    assert {name: int(pixel.argmax()) for name, pixel in runs.items()} == {"photo.png": 0, "photo.jpg": 2, "photo.png.jpg": 1}


def test_a_picture_keeps_the_name_of_its_run_when_another_of_its_stem_comes(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "photos"
    directory.mkdir()
    argv = outpaint(image=directory, caption=GLOBAL, steps="right:1")
    for colour, name in (("red", "photo.png"), ("blue", "photo.jpg")):
        Image.new("RGB", (64, 64), colour).save(directory / name)
        capsys.readouterr()
        assert main(argv) == 0
    assert "1 drawn, 1 finished before, 0 failed" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["photo", "photo.jpg"]


def test_a_caption_is_for_pictures_that_the_file_does_not_name(outpaint: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("a.png\ta lake\nb.png\ta hill\n")
    assert main(outpaint(captions_from=tmp_path / "two.txt", caption=GLOBAL, steps="right:1")) == 0
    records = [yaml.safe_load((tmp_path / "runs" / name / "run.yaml").read_text()) for name in "abc"]
    assert [record["config"]["caption"] for record in records] == ["a lake", "a hill", GLOBAL]


def test_a_captioner_that_cannot_look_fails_picture_by_picture(
    outpaint: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(outpaint(captioner="lit_outpaint.captions.rules.RuleCaptioner")) == 2
    said = capsys.readouterr()
    assert "0 drawn, 0 finished before, 3 failed" in said.out
    lines = [f"error: {name}: rules cannot look at a picture; give its caption" for name in PICTURES]
    assert [any(line.startswith(start) for line in said.err.splitlines()) for start in lines] == [True] * 3


def test_pictures_of_every_kind_are_found(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kinds").mkdir()
    names = ["a.ppm", "b.pgm", "c.pbm", "d.jp2", "e.JFIF", "f.gif"]
    for name in names:
        mode = {"b.pgm": "L", "c.pbm": "1"}.get(name, "RGB")
        Image.new(mode, (64, 64)).save(tmp_path / "kinds" / name)
    assert main(outpaint(image=tmp_path / "kinds", captioner="lit_outpaint.captions.rules.RuleCaptioner")) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    # All were read; none has a caption.
    assert lines == [f"error: {name}: {lines[0].split(': ', 2)[2]}" for name in names]
    assert "rules cannot look at a picture" in lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"caption": None}, "have no captions, and rules cannot look at them; give --caption, --captions_from"),
        (
            {"captions_from": "two.txt", "caption": None},
            "must name the same pictures; there are no captions for c.png; --caption would be for these",
        ),
        ({"captions_from": "four.txt"}, "there are no pictures for d.png"),
        ({"image": "empty"}, "must hold pictures"),
        ({"out": None}, "outpaint needs --out"),
        ({"steps": None}, "outpaint needs a plan"),
        ({"out": "run"}, "must be a directory for many runs"),
        ({"rank": 2, "world_size": 2}, "rank must lie in"),
    ],
)
def test_a_command_that_cannot_work_is_refused_before_anything_is_drawn(
    outpaint: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for count, name in ((2, "two.txt"), (4, "four.txt")):
        Path(name).write_text("".join(f"{picture}\ta lake\n" for picture in (*PICTURES, "d.png")[:count]))
    for name in ("empty", "run"):
        Path(name).mkdir()
    Path("run/run.yaml").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert main(outpaint(**{"caption": GLOBAL, **change})) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
