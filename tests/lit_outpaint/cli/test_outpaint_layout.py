"""Canvases that are laid out before they are drawn."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.cli.outpaint import main
from lit_outpaint.planning.files import plan_text, read_plan_file
from lit_outpaint.planning.local import local_caption
from lit_outpaint.runs.record import OutpaintRecord

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


def test_windows_are_told_of_the_scene_and_of_no_things_of_others(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(name: str, **more: Any) -> bytes:
        given = {"caption": f"a wide view under a clear sky{CAPTION[11:]}", **more}
        assert main(outpaint(steps="right:2", out=tmp_path / name, **given)) == 0
        return Image.open(tmp_path / name / "panorama.png").tobytes()

    told = drawn("run")
    layout = tmp_path / "run" / "layout.json"
    scene = "a wide view under a clear sky at dusk: a lake and a desert"
    assert drawn("scene", caption=scene, layout=layout) == told
    whole = drawn("whole", global_with_layout="whole")
    assert whole != told
    # Runs that were begun before windows could be told less go on as they began.
    path = tmp_path / "whole" / "run.yaml"
    path.write_text(path.read_text().replace("  global_with_layout: whole\n", ""))
    assert OutpaintRecord.load(path.parent).config["global_with_layout"] == "whole"
    alone = outpaint(steps="right:1", out=tmp_path / "alone", global_with_layout="whole")
    place = alone.index("--layout")
    assert main([*alone[:place], *alone[place + 2 :]]) == 2
    assert "--global_with_layout has no effect without --layout" in capsys.readouterr().err


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


@pytest.mark.slow
def test_a_step_with_a_seed_of_its_own_keeps_it_whatever_else_changes(
    outpaint: Callable[..., list[str]], tmp_path: Path
) -> None:
    run, file = tmp_path / "run", tmp_path / "edited.json"
    assert main(outpaint(steps="right:3")) == 0
    of_the_run = records(run)[1]["seed"]
    assert main(["--resume", str(run), "--edit_step", "1", "--edit_seed", "5"]) == 0
    own = records(run)[1]["seed"]
    assert own != of_the_run
    layout = read_plan_file(run / "layout.json")
    changed = replace(
        layout, regions=tuple(replace(region, prompt=f"old {region.prompt}") for region in layout.regions)
    )
    file.write_text(plan_text(changed))
    assert main(["--resume", str(run), "--layout", str(file)]) == 0
    assert {step: record["revision"] for step, record in records(run).items()} == {0: 2, 1: 3, 2: 4}
    assert records(run)[1]["seed"] == own
    assert main(["--resume", str(run), "--edit_step", "1", "--edit_caption", "a barn"]) == 0
    assert (records(run)[1]["local_caption"], records(run)[1]["seed"]) == ("a barn", own)
    assert main(["--resume", str(run), "--edit_step", "1", "--edit_seed", "0"]) == 0
    assert records(run)[1]["seed"] == of_the_run


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


def stopped(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("ahead", [{"captions_ahead": "true"}, {"engine": "joint"}])
def test_an_edited_layout_holds_for_steps_to_come_whose_captions_were_written_ahead(
    outpaint: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: dict[str, str]
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patches:
        for moment in ("advance", "denoise"):
            patches.setattr(f"lit_outpaint.cli.outpaint.Progress.{moment}", stopped)
        assert main(outpaint(steps="right:5", **ahead)) == 130
    edited = tmp_path / "edited.json"
    edited.write_text((run / "layout.json").read_text().replace('"thing": "a blue tent"', '"thing": "a red car"'))
    assert main(["--resume", str(run), "--layout", str(edited)]) == 0
    said = {step: record["local_caption"] for step, record in records(run).items()}
    assert said == said_by_layout(run)
    assert any("a red car" in caption for caption in said.values())


def test_a_layout_is_edited_again_before_the_first_edit_is_drawn(
    outpaint: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, file = tmp_path / "run", tmp_path / "edited.json"
    assert main(outpaint(steps="right:5")) == 0
    text = (run / "layout.json").read_text()
    for thing, code in (("a red car", 130), ("a yellow kite", 0)):
        file.write_text(text.replace('"thing": "a cactus"', f'"thing": "{thing}"'))
        with monkeypatch.context() as patches:
            if code:
                patches.setattr("lit_outpaint.cli.outpaint.Progress.advance", stopped)
            assert main(["--resume", str(run), "--layout", str(file)]) == code
    said = {step: record["local_caption"] for step, record in records(run).items()}
    assert said == said_by_layout(run)
    assert any("a yellow kite" in caption for caption in said.values())


def test_an_edited_layout_is_taken_back_as_a_whole(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shown = run / "layout.json"
    assert main(outpaint(steps="right:5")) == 0
    drawn, text = records(run), shown.read_text()
    # One is edited in its place, then another one where it changes no window.
    shown.write_text(text.replace('"thing": "a cactus"', '"thing": "a red car"'))
    assert main(["--resume", str(run), "--layout", str(shown)]) == 0
    once, edited = records(run), shown.read_text()
    assert sum(once[step]["revision"] > 0 for step in once) > 1
    other = tmp_path / "other.json"
    regions = read_plan_file(shown).regions
    far = replace(regions[-1], id="far", box=regions[-1].box.shift(9000.0, 0.0))
    other.write_text(plan_text(replace(read_plan_file(shown), regions=(*regions, far))))
    assert main(["--resume", str(run), "--layout", str(other)]) == 0
    assert "what 0 steps are asked for" in capsys.readouterr().out
    assert shown.read_text() == other.read_text()

    undo = ["--resume", str(run), "--undo"]
    assert main(undo) == 0
    assert (records(run), shown.read_text()) == (once, edited)
    assert main(undo) == 0
    assert (records(run), shown.read_text()) == (drawn, text)
    assert main(undo) == 2
    assert "this run has none" in capsys.readouterr().err


def test_a_layout_under_which_steps_were_added_is_not_taken_back(
    outpaint: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = tmp_path / "run", tmp_path / "edited.json"
    assert main(outpaint(steps="right:1")) == 0
    resume = ["--resume", str(run)]
    file.write_text((run / "layout.json").read_text().replace('"place": "', '"place": "the shore of '))
    assert main([*resume, "--layout", str(file)]) == 0
    assert main([*resume, "--steps", "right:1"]) == 0
    before = (run / "run.yaml").read_bytes()
    assert main([*resume, "--undo"]) == 2
    assert f"(the one before is {run / 'kept' / 'layout-0.json'})" in capsys.readouterr().err
    assert (run / "run.yaml").read_bytes() == before
    # Under one that was given since, none were added.
    file.write_text((run / "layout.json").read_text().replace("the shore of ", ""))
    captions = {step: record["local_caption"] for step, record in records(run).items()}
    assert main([*resume, "--layout", str(file)]) == 0
    assert main([*resume, "--undo"]) == 0
    assert {step: record["local_caption"] for step, record in records(run).items()} == captions


def test_the_page_shows_the_layout_in_force_whatever_became_of_the_shown_file(
    outpaint: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(outpaint(steps="right:1")) == 0
    assert main(["--resume", str(run), "--steps", "right:4"]) == 0
    shown = run / "layout.json"
    things = {region.thing for region in read_plan_file(shown).regions if region.thing}
    assert len(things) > 1
    shown.write_text(shown.read_text().replace('"thing": "a cactus"', '"thing": "a red car"'))
    for _ in range(2):
        assert main(["--resume", str(run), "--export", "page"]) == 0
        page = (run / "view" / "index.html").read_text()
        assert all(f'"text": "{thing}"' in page for thing in things)
        assert "a red car" not in page
        shown.unlink(missing_ok=True)


def test_a_file_is_taken_as_it_is(outpaint: Callable[..., list[str]], tmp_path: Path) -> None:
    file, run = tmp_path / "part.json", tmp_path / "run"
    region = {"id": "barn", "prompt": "a barn", "box": [64.0, 0.0, 96.0, 64.0], "thing": "a barn"}
    file.write_text(json.dumps({"prompt": CAPTION, "unit": "px", "regions": [region]}))
    assert main(outpaint(steps="right:2", layout=file)) == 0
    assert main(["--resume", str(run), "--steps", "left:1"]) == 0
    assert read_plan_file(run / "layout.json") == read_plan_file(file)
    assert records(run)[2]["local_caption"] == CAPTION


def test_what_an_edit_took_away_does_not_come_back_where_steps_are_added(
    outpaint: Callable[..., list[str]], tmp_path: Path
) -> None:
    file, run = tmp_path / "fewer.json", tmp_path / "run"
    assert main(outpaint(steps="right:2")) == 0
    whole = read_plan_file(run / "layout.json")
    fewer = replace(whole, regions=tuple(region for region in whole.regions if region.box.x1 <= 96))
    assert 0 < len(fewer.regions) < len(whole.regions)
    file.write_text(plan_text(fewer))
    assert main(["--resume", str(run), "--layout", str(file)]) == 0
    assert read_plan_file(run / "layout.json") == fewer
    for _ in range(2):
        assert main(["--resume", str(run), "--steps", "right:2"]) == 0
    grown = read_plan_file(run / "layout.json").regions
    assert grown[: len(fewer.regions)] == fewer.regions
    assert len(grown) > len(fewer.regions)
    assert min(region.box.x0 for region in grown[len(fewer.regions) :]) >= 128


def test_a_refused_layout_leaves_the_run_as_it_was(
    outpaint: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ValueError("pyvips is missing")

    run, file = tmp_path / "run", tmp_path / "edited.json"
    assert main(outpaint(steps="right:1")) == 0
    file.write_text((run / "layout.json").read_text().replace('"place": "', '"place": "the shore of '))
    monkeypatch.setattr("lit_outpaint.canvas.export.formats.require_pyvips", missing)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["--resume", str(run), "--layout", str(file), "--export", "jpeg"]) == 2
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("moment", ["OutpaintRecord.save", "show_layout"])
@pytest.mark.parametrize("again", ["the same command", "plain resume"])
def test_a_layout_that_was_cut_short_is_the_old_or_the_new_one(
    outpaint: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, again: str
) -> None:
    run, file = tmp_path / "run", tmp_path / "edited.json"
    assert main(outpaint(steps="right:2")) == 0
    drawn, old = records(run), read_plan_file(run / "layout.json")
    # The captions stay: only the prompts of regions change.
    new = replace(old, regions=tuple(replace(region, prompt=f"old {region.prompt}") for region in old.regions))
    file.write_text(plan_text(new))
    relay = ["--resume", str(run), "--layout", str(file)]
    with monkeypatch.context() as patches:
        patches.setattr(f"lit_outpaint.cli.outpaint.{moment}", stopped)
        assert main(relay) == 130
    assert main(relay if again == "the same command" else ["--resume", str(run)]) == 0
    is_new = moment == "show_layout" or again == "the same command"
    assert read_plan_file(run / "layout.json") == (new if is_new else old)
    assert (records(run) != drawn) == is_new
