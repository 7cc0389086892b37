"""Canvases that are laid out before they are drawn."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.cli.outpaint import main
from lit_outpaint.planning.files import read_plan_file
from lit_outpaint.planning.local import local_caption

CAPTION = "a wide view at dusk: a lake with a red lighthouse, and a desert with a cactus and a blue tent"


@pytest.fixture
def outpaint(tmp_path: Path, model: Path) -> Callable[..., list[str]]:
    """The arguments of a new run in ``tmp_path / "run"``, of a picture of one window."""
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    given = {"image": tmp_path / "in.png", "caption": CAPTION, "out": tmp_path / "run", "model": model, "device": "cpu"}

    def arguments(**more: Any) -> list[str]:
        named = {**given, "num_inference_steps": 1, "layout": "auto", **more}
        return [part for name, value in named.items() for part in (f"--{name}", str(value))]

    return arguments


def records(run: Path) -> dict[int, dict[str, Any]]:
    lines = map(json.loads, (run / "steps.jsonl").read_text().splitlines())
    return {line["step"]: line for line in lines}


def said_by_layout(run: Path) -> dict[int, str]:
    layout = read_plan_file(run / "layout.json")
    return {step: local_caption(layout, Box(*record["window"])) for step, record in records(run).items()}


def test_the_layout_of_a_rectangle_writes_the_captions(outpaint: Callable[..., list[str]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(outpaint(to="256x128")) == 0
    layout = read_plan_file(run / "layout.json")
    assert sorted(region.thing for region in layout.regions if region.thing) == [
        "a blue tent",
        "a cactus",
        "a red lighthouse",
    ]
    assert (run / "layout.png").is_file()
    assert {record["caption_source"] for record in records(run).values()} == {"layout"}
    assert {step: record["local_caption"] for step, record in records(run).items()} == said_by_layout(run)


def test_an_edited_layout_is_drawn_again_where_it_changes(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(outpaint(steps="right:5")) == 0
    before = records(run)
    file = tmp_path / "edited.json"
    file.write_text((run / "layout.json").read_text().replace('"thing": "a blue tent"', '"thing": "a red car"'))
    assert main(["--resume", str(run), "--layout", str(file)]) == 0
    after = records(run)
    changed = [step for step in before if "a blue tent" in before[step]["local_caption"]]
    assert changed
    assert f"what {len(changed)} steps are asked for" in capsys.readouterr().out
    assert all("a red car" in after[step]["local_caption"] for step in changed)
    assert {step: record["local_caption"] for step, record in after.items()} == said_by_layout(run)
    assert [step for step in after if after[step]["revision"] == 0] == list(range(min(changed)))
    assert main(["--resume", str(run), "--layout", str(run / "layout.json")]) == 0
    assert "what 0 steps are asked for" in capsys.readouterr().out


def test_a_layout_grows_with_its_strip_and_keeps_what_it_has(
    outpaint: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(outpaint(steps="right:2")) == 0
    before = records(run)
    assert main(["--resume", str(run), "--steps", "right:3,left:1,up:1"]) == 0
    after = records(run)
    assert {step: after[step] for step in before} == before
    assert {step: record["local_caption"] for step, record in after.items()} == said_by_layout(run)
    assert "sky" in after[6]["local_caption"] or "lake" in after[6]["local_caption"]


def test_a_run_begun_twice_is_the_same_run(outpaint: Callable[..., list[str]], tmp_path: Path) -> None:
    assert main(outpaint(steps="right:1")) == 0
    before = records(tmp_path / "run")
    assert main(outpaint(steps="right:1")) == 0
    assert records(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"layout": "absent.json"}, "absent.json"),
        ({"caption": "twelve red barns and twelve blue tents in a meadow"}, "room for 24 things"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_before_anything_is_made(
    outpaint: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, str],
    named: str,
) -> None:
    assert main(outpaint(to="128x64", **more)) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_layout_must_be_in_pixels_and_belong_to_a_run_that_has_one(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shares.json"
    file.write_text('{"prompt": "x", "grid": "1", "regional_prompts": ["a barn"]}')
    assert main(outpaint(steps="right:1", layout=file)) == 2
    assert "unit" in capsys.readouterr().err
    arguments = outpaint(steps="right:1")
    del arguments[arguments.index("--layout") : arguments.index("--layout") + 2]
    assert main(arguments) == 0
    assert main(["--resume", str(tmp_path / "run"), "--layout", str(file)]) == 2
    assert "without one" in capsys.readouterr().err
