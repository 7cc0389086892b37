"""Prompts for steps: drawn by an outpainting model from the known windows, read in the new strip alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.cli import main
from eval.compbench.config import CompbenchConfig
from eval.compbench.probing import probe_scores
from eval.judge import load_judge, strip_of
from eval.readings import LabelMaps
from lit_outpaint.data.prompts import (
    PresentAtom,
    Prompt,
    Step,
    known_pictures_dir,
    read_prompts,
    true_pictures_dir,
    write_prompts,
)
from lit_outpaint.testing.models import TOY_WINDOW_PX

STRIDE = TOY_WINDOW_PX // 2


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A step to each side, with windows of noise before and after it."""
    rows = [
        Prompt(
            id=f"presence-{direction}",
            category="presence",
            prompt=f"a red barn {direction}",
            atoms=(PresentAtom(kind="barn"), PresentAtom(kind="cactus")),
            step=Step(direction=direction, stride_px=STRIDE, global_caption="a meadow"),
        )
        for direction in ("left", "right", "up", "down")
    ]
    path = tmp_path / "p.jsonl"
    write_prompts(path, rows)
    rng = np.random.default_rng(0)
    for directory in (known_pictures_dir(path), true_pictures_dir(path)):
        directory.mkdir()
        for row in rows:
            pixels = rng.integers(0, 256, (TOY_WINDOW_PX, TOY_WINDOW_PX, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(directory / f"{row.id}.png")
    return path


def _scored(prompts: Path, family: Path, out: Path, *more: str) -> int:
    given = ["--prompts", str(prompts), "--models", str(family), "--out", str(out), *more]
    return main(["compbench", *given])


def test_steps_are_drawn_from_the_known_windows_and_gone_on_with(
    prompts: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    drawn = ["--model", str(family / "outpaint"), "--drawing.sampling.num_inference_steps", "1"]
    assert _scored(prompts, family, out, *drawn) == 0
    known, after = (
        {path.stem: np.array(Image.open(path)) for path in directory.glob("*.png")}
        for directory in (known_pictures_dir(prompts), out / "pictures")
    )
    assert known.keys() == after.keys()
    np.testing.assert_array_equal(after["presence-right"][:, :STRIDE], known["presence-right"][:, STRIDE:])
    np.testing.assert_array_equal(after["presence-left"][:, STRIDE:], known["presence-left"][:, :STRIDE])
    np.testing.assert_array_equal(after["presence-down"][:STRIDE], known["presence-down"][STRIDE:])
    np.testing.assert_array_equal(after["presence-up"][STRIDE:], known["presence-up"][:STRIDE])
    told = json.loads((out / "metrics.json").read_text())
    assert "of the new strip of a step each" in told["subtitle"]
    picture = out / "pictures" / "presence-up.png"
    before = picture.read_bytes()
    picture.unlink()
    assert _scored(prompts, family, out, *drawn) == 0
    assert picture.read_bytes() == before, "a step does not depend on what is drawn beside it"
    capsys.readouterr()
    assert _scored(prompts, family, out, *drawn, "--drawing.seed", "1") == 2
    assert "seed" in capsys.readouterr().err


def test_the_new_strip_alone_is_read(prompts: Path, family: Path, tmp_path: Path) -> None:
    rows = read_prompts(prompts)
    config = CompbenchConfig(prompts=prompts, out=tmp_path, images=true_pictures_dir(prompts), models=family)
    before = probe_scores(config, rows, true_pictures_dir(prompts), "--images")
    judge = load_judge(family, config.judge)
    for row, scored in zip(rows, before, strict=True):
        assert row.step is not None
        pixels = np.array(Image.open(true_pictures_dir(prompts) / f"{row.id}.png"))
        maps = judge.look(pixels[None]).maps[0]
        strip: LabelMaps = strip_of(maps, row.step.direction, 0.5)
        (reading,) = judge.read([strip])
        assert scored.scores == (tuple(float(kind in reading.kinds) for kind in ("barn", "cactus")),)


@pytest.mark.parametrize("broken", ["missing", "small", "mixed"])
def test_what_does_not_fit_is_refused_in_one_line(
    prompts: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    window = known_pictures_dir(prompts) / "presence-up.png"
    if broken == "missing":
        window.unlink()
    elif broken == "small":
        for path in known_pictures_dir(prompts).iterdir():
            Image.new("RGB", (32, 32)).save(path)
    else:
        row = Prompt(id="whole", category="presence", prompt="a barn", atoms=(PresentAtom(kind="barn"),))
        prompts.write_text(prompts.read_text() + row.line() + "\n")
    more = ["--model", str(family / "outpaint"), "--drawing.sampling.num_inference_steps", "1"]
    assert _scored(prompts, family, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert {"missing": "presence-up.png", "small": "64 x 64", "mixed": "holds both"}[broken] in error
