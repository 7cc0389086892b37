"""``generate --method rpg`` through the command line, at toy size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from lit_outpaint.cli.generate import main
from lit_outpaint.pipeline import OutpaintPipeline
from lit_outpaint.testing.models import build_toy_pipeline

JUDGE = "lit_outpaint.testing.judges.BrightnessJudge"


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family with an outpainting model that repairs."""
    return build_toy_pipeline(tmp_path_factory.mktemp("model") / "family").parent


def generate(family: Path, out: Path, *more: str) -> int:
    base = ["--model", str(family), "--out", str(out), "--num_inference_steps", "2", "--device", "cpu"]
    return main([*base, *more])


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "pictures.jsonl").read_text().splitlines()]


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def test_a_prompt_is_planned_and_drawn_and_the_record_says_how(family: Path, tmp_path: Path) -> None:
    prompt = "a red barn to the left of a blue tent"
    assert generate(family, tmp_path / "rpg", "--prompt", prompt, "--method", "rpg") == 0
    (line,) = lines(tmp_path / "rpg")
    assert [region["box"] for region in line["notes"]["plan"]["regions"]] == [[0, 0, 0.5, 1], [0.5, 0, 1, 1]]
    assert generate(family, tmp_path / "base", "--prompt", prompt) == 0
    assert not np.array_equal(pixels(tmp_path / "rpg" / "0000.png"), pixels(tmp_path / "base" / "0000.png"))


@pytest.mark.parametrize("merge", ["attention_crop", "latent_concat"])
def test_a_base_ratio_of_1_draws_the_base(family: Path, tmp_path: Path, merge: str) -> None:
    more = ["--method", "rpg", "--base_ratio", "1.0", "--merge", merge]
    assert generate(family, tmp_path / "rpg", "--prompt", "a barn and a tent", *more) == 0
    assert generate(family, tmp_path / "base", "--prompt", "a barn and a tent") == 0
    ours, base = (pixels(tmp_path / name / "0000.png").astype(int) for name in ("rpg", "base"))
    assert np.abs(ours - base).max() <= 1


def test_regions_of_the_command_line_and_of_a_file_are_drawn(family: Path, tmp_path: Path) -> None:
    own = [
        "--regions",
        "1;1,1,1",
        "--regional_prompt",
        "a sky",
        "--regional_prompt",
        "a barn",
        "--regional_prompt=a tent",
    ]
    assert generate(family, tmp_path / "own", "--prompt", "a meadow", "--method", "rpg", *own) == 0
    (line,) = lines(tmp_path / "own")
    assert [region["prompt"] for region in line["notes"]["plan"]["regions"]] == ["a sky", "a barn", "a tent"]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(line["notes"]["plan"]))
    assert generate(family, tmp_path / "its_own", "--method", "rpg", "--plan_file", str(plan)) == 0
    assert lines(tmp_path / "its_own")[0]["prompt"] == json.loads(plan.read_text())["prompt"]
    more = ["--prompt", "a meadow", "--method", "rpg", "--plan_file", str(plan)]
    assert generate(family, tmp_path / "file", *more) == 0
    assert lines(tmp_path / "file")[0]["sha256"] == line["sha256"]


def test_the_loop_leaves_a_record_and_a_picture_of_each_round(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "loop"
    own = [
        "--regions",
        "1,1,1;1,1,1",
        *(f"--regional_prompt={text}" for text in ("a barn", "a tent", "a car", "a flag")),
    ]
    loop = ["--rounds", "2", "--judge", JUDGE, "--scorer", JUDGE, "--num_images", "2", "--max_edited", "1.0"]
    command = ["--prompt", "a meadow", "--method", "rpg", *own, *loop]
    assert generate(family, out, *command) == 0
    said = capsys.readouterr().out
    assert "of 2: " in said
    assert "of the best of as many drawings" in said
    for line in lines(out):
        rounds = line["notes"]["rounds"]
        assert rounds[0]["action"] == "draw"
        for number, one in enumerate(rounds):
            assert (out / "rounds" / f"round{number}" / f"{line['id']}.png").is_file()
            assert {"action", "edits", "score", "wrong", "kept"} <= one.keys()
        kept = [number for number, one in enumerate(rounds) if one["kept"]][-1]
        best = pixels(out / "rounds" / f"round{kept}" / f"{line['id']}.png")
        assert np.array_equal(pixels(out / f"{line['id']}.png"), best)
        assert (out / "rounds" / "best_of" / f"{line['id']}.png").is_file()
    # The same command has nothing to do; another number of rounds is another run.
    before = (out / "pictures.jsonl").read_bytes()
    assert generate(family, out, *command) == 0
    assert (out / "pictures.jsonl").read_bytes() == before
    capsys.readouterr()
    assert generate(family, out, *command, "--rounds", "3") == 2
    assert "rounds" in capsys.readouterr().err


@pytest.mark.slow
def test_a_language_model_plans_and_stands_in_the_record_of_the_run(family: Path, tmp_path: Path) -> None:
    planner = "lit_outpaint.planning.planner.LanguageModelPlanner"
    chat = ["--planner.chat", "lit_outpaint.chat.local_chat.LocalChat", "--planner.chat.path", "models/scapes/lm"]
    command = ["--prompt", "a red barn left of a tent", "--method", "rpg", "--planner", planner, *chat]
    assert generate(family, tmp_path / "run", *command) == 0
    held = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["planner"]
    assert held["class"] == planner
    assert held["model"]
    before = (tmp_path / "run" / "pictures.jsonl").read_bytes()
    assert generate(family, tmp_path / "run", *command) == 0
    assert (tmp_path / "run" / "pictures.jsonl").read_bytes() == before


def test_the_loop_edits_with_the_scheduler_and_the_negative_prompt_of_the_command(
    family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    draw = OutpaintPipeline.draw

    def noted(self: OutpaintPipeline, *args: Any, **kwargs: Any) -> Any:
        calls.append((type(self.scheduler).__name__, kwargs["negative_captions"]))
        return draw(self, *args, **kwargs)

    monkeypatch.setattr(OutpaintPipeline, "draw", noted)
    things = ("a barn", "a tent", "a car", "a flag")
    own = ["--regions", "1,1,1;1,1,1", *(f"--regional_prompt={text}" for text in things)]
    asked = ["--scheduler", "EulerDiscreteScheduler", "--negative_prompt", "fog"]
    loop = ["--rounds=1", f"--judge={JUDGE}", "--judge.level=256", f"--scorer={JUDGE}", "--max_edited=1.0"]
    assert generate(family, tmp_path / "run", "--prompt", "a meadow", "--method", "rpg", *own, *asked, *loop) == 0
    assert calls
    assert all(name == "EulerDiscreteScheduler" and captions[0].endswith("fog") for name, captions in calls)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--rounds", "2"], "--rounds"),
        (["--base_ratio", "0.5"], "--base_ratio"),
        (["--method", "rpg", "--base_ratio", "1.5"], "base_ratio"),
        (["--method", "rpg", "--regions", "1,1", "--regional_prompt", "a barn"], "2 cells"),
        (["--method", "rpg", "--regions", "1,x", "--regional_prompt", "a barn"], "x"),
        (["--method", "rpg", "--plan_file", "nowhere.json"], "nowhere.json"),
        (["--method", "rpg", "--rounds", "2"], "steering_probe"),
        (["--method", "rpg", "--repair_model", "nowhere"], "--repair_model is of the closed loop; give --rounds"),
        (["--method", "rpg", "--rounds", "2", "--judge", JUDGE, "--repair_model", "nowhere"], "nowhere"),
    ],
)
def test_input_at_fault_gets_one_line_and_writes_nothing(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], named: str
) -> None:
    assert generate(family, tmp_path / "out", "--prompt", "a barn and a tent", *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert named in error
    assert not (tmp_path / "out").exists()
