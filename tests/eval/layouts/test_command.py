"""Canvases that the command line drew, counted by the command line, at toy size."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from eval.cli import main
from eval.judge import load_judge
from eval.layouts.reading import read_canvas
from eval.readings import JudgeConfig
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.cli.generate import main as generate
from lit_outpaint.cli.outpaint import main as outpaint
from lit_outpaint.testing.models import TOY_WINDOW_PX

CAPTION = "a wide view by day: a meadow with two red barns, and a desert with a cactus"


@pytest.fixture(scope="module")
def runs(family: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two canvases with a layout and the same two with captions by rules."""
    root = tmp_path_factory.mktemp("runs")
    (root / "windows").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = rng.integers(0, 256, (TOY_WINDOW_PX, TOY_WINDOW_PX, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "windows" / f"{name}.png")
    given = ["--image", str(root / "windows"), "--caption", CAPTION, "--model", str(family / "outpaint")]
    drawn = ["--to", "128x96", "--num_inference_steps", "1", "--device", "cpu"]
    assert outpaint([*given, *drawn, "--layout", "auto", "--out", str(root / "laid_out")]) == 0
    assert outpaint([*given, *drawn, "--out", str(root / "by_rules")]) == 0
    return root


def test_canvases_are_counted_and_compared(runs: Path, family: Path, tmp_path: Path) -> None:
    generated = ["--prompt", "a barn", "--model", str(family), "--out", str(runs / "laid_out" / "of_generate")]
    assert generate([*generated, "--num_inference_steps", "1", "--device", "cpu"]) == 0
    for name in ("laid_out", "by_rules"):
        out = tmp_path / name
        assert main(["layouts", "--runs", str(runs / name), "--models", str(family), "--out", str(out)]) == 0
        told = json.loads((out / "metrics.json").read_text())
        assert [row["key"] for row in told["per_panorama"]] == ["a", "b"]
        assert {"counts_right", "flawed", "repeated", "stacked", "missing", "unasked", "seam"} == told["figures"].keys()
        assert all(row["ratios"]["counts_right"][1] == 2 for row in told["per_panorama"])
        assert told["figures"]["seam"]["value"] > 0
        assert (out / "report.html").is_file()
    names = [str(tmp_path / name) for name in ("by_rules", "laid_out")]
    assert main(["compare", *names, "--out", str(tmp_path / "compared")]) == 0
    compared = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    assert compared["figures"]["flawed"]["others"][0]["num_units"] == 2


def test_a_canvas_of_one_window_is_read_as_the_window_is(family: Path) -> None:
    judge = load_judge(family, JudgeConfig())
    pixels = np.random.default_rng(1).integers(0, 256, (TOY_WINDOW_PX, TOY_WINDOW_PX, 3), dtype=np.uint8)
    box = Box(-8, 16, -8 + TOY_WINDOW_PX, 16 + TOY_WINDOW_PX)

    def read(part: Box) -> np.ndarray:
        return pixels[part.y0 - 16 : part.y1 - 16, part.x0 + 8 : part.x1 + 8]

    assert read_canvas(judge, read, box, TOY_WINDOW_PX) == judge.read(judge.look(pixels[None]).maps)[0]
    with pytest.raises(ValueError, match="at least one window"):
        read_canvas(judge, read, Box(0, 0, 32, 64), TOY_WINDOW_PX)


def test_what_is_no_finished_run_is_refused_in_one_line(
    runs: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "others" / "of_generate").mkdir(parents=True)
    (tmp_path / "others" / "of_generate" / "run.yaml").write_text("prompt: a barn\n")
    for given, named in (
        (tmp_path / "absent", "absent"),
        (runs / "windows", "holds none"),
        (tmp_path / "others", "holds none"),
    ):
        assert main(["layouts", "--runs", str(given), "--models", str(family), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert named in error
    assert not (tmp_path / "out").exists()


def test_a_damaged_run_is_refused_and_left_as_it_is(
    runs: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "by_rules", tmp_path / "by_rules")
    canvas = Canvas.open(tmp_path / "by_rules" / "b")
    strip = canvas.record(0).strip_box
    array = zarr.open_array(canvas.directory / "canvas.zarr", mode="r+")
    y, x = (start + origin for start, origin in zip((strip.y0, strip.x0), array.attrs["origin_px"], strict=True))
    array[y, x] = 255 - array[y, x]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    given = ["--runs", str(tmp_path / "by_rules"), "--models", str(family), "--out", str(tmp_path / "out")]
    assert main(["layouts", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "by_rules/b/canvas.zarr is damaged" in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    journal = tmp_path / "by_rules" / "a" / "steps.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    for num_lines in (0, len(lines) - 1):
        journal.write_text("".join(lines[:num_lines]))
        assert main(["layouts", *given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "by_rules/a lacks steps" in line
    assert not (tmp_path / "out").exists()
