import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.cli import main
from lit_outpaint.data.prompts import (
    ColourAtom,
    CountAtom,
    PresentAtom,
    Prompt,
    Thing,
    TimeAtom,
    true_pictures_dir,
    write_prompts,
)
from lit_outpaint.testing.models import TOY_WINDOW_PX


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Four prompts of two categories, with true pictures of noise."""
    rows = [
        Prompt(
            id=f"{category}-{index}",
            category=category,
            prompt=f"a red barn {index}",
            atoms=(PresentAtom(kind="barn"), atom),
            pair=f"{category}-pair",
        )
        for category, atom in (
            ("colour", ColourAtom(kind="barn", colour="red", allowed=("red",))),
            ("counting", CountAtom(thing=Thing(kind="barn"), count=1)),
        )
        for index in range(2)
    ]
    path = tmp_path / "p.jsonl"
    write_prompts(path, rows)
    _pictures(true_pictures_dir(path), [row.id for row in rows])
    return path


def _pictures(directory: Path, keys: list[str]) -> None:
    directory.mkdir()
    rng = np.random.default_rng(0)
    for key in keys:
        pixels = rng.integers(0, 256, (TOY_WINDOW_PX, TOY_WINDOW_PX, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(directory / f"{key}.png")


def _scored(prompts: Path, family: Path, out: Path, *more: str) -> int:
    given = ["--prompts", str(prompts), "--models", str(family), "--out", str(out), *more]
    return main(["compbench", *given])


def test_true_pictures_score_as_their_own_ceiling(
    prompts: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = true_pictures_dir(prompts)
    assert _scored(prompts, family, tmp_path / "out", "--images", str(true), "--clip", str(family / "eval_clip")) == 0
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert all(
        figure["real"] is None or figure["value"] == figure["real"]["value"] for figure in told["figures"].values()
    )
    assert {"colour.pairs", "counting.gm", "all.am", "clip_sim", "judge.atoms"} <= told["figures"].keys()
    assert [row["key"] for row in told["per_panorama"]] == ["colour-0", "colour-1", "counting-0", "counting-1"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "answers.jsonl",
        "metrics.json",
        "metrics.md",
        "report.html",
    ]
    assert "the judge on true pictures" in capsys.readouterr().out


def test_drawn_runs_go_on_and_are_compared_prompt_by_prompt(prompts: Path, family: Path, tmp_path: Path) -> None:
    drawn = ["--model", str(family), "--drawing.sampling.num_inference_steps", "2"]
    for name, seed in (("one", "0"), ("two", "1")):
        assert _scored(prompts, family, tmp_path / name, *drawn, "--drawing.seed", seed) == 0
    picture = tmp_path / "one" / "pictures" / "colour-0.png"
    first = picture.read_bytes()
    picture.unlink()
    assert _scored(prompts, family, tmp_path / "one", *drawn) == 0
    assert picture.read_bytes() == first
    runs = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["compare", *runs, "--out", str(tmp_path / "compared")]) == 0
    told = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    (other,) = told["figures"]["all.am"]["others"]
    assert other["num_units"] == 4
    assert "4 prompts with other seeds" in (tmp_path / "compared" / "comparison.md").read_text()
    assert main(["report", *runs, "--out", str(tmp_path / "page")]) == 0


def test_chosen_prompts_alone_are_scored(prompts: Path, family: Path, tmp_path: Path) -> None:
    more = ("--images", str(true_pictures_dir(prompts)), "--categories", "counting", "--per_category", "1")
    assert _scored(prompts, family, tmp_path / "out", *more) == 0
    answers = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [row["id"] for row in answers] == ["counting-0"]


def test_several_pictures_of_a_prompt_are_scored_and_compared_as_one_prompt(
    prompts: Path, family: Path, tmp_path: Path
) -> None:
    one, several = true_pictures_dir(prompts), tmp_path / "several"
    several.mkdir()
    for path in one.iterdir():
        for number in range(3):
            (several / f"{path.stem}-{number}.png").write_bytes(path.read_bytes())
    for name, images in (("one", one), ("three", several)):
        assert _scored(prompts, family, tmp_path / name, "--images", str(images)) == 0
    rows = [json.loads(line) for line in (tmp_path / "three" / "answers.jsonl").read_text().splitlines()]
    assert [len(row["scores"]) for row in rows] == [3] * 4
    runs = [str(tmp_path / "one"), str(tmp_path / "three")]
    assert main(["compare", *runs, "--out", str(tmp_path / "compared")]) == 0
    told = json.loads((tmp_path / "compared" / "comparison.json").read_text())["figures"]
    # The judge's own figure is of the whole set.
    apart = {key: other["difference"] for key, figure in told.items() for other in figure["others"]}
    assert apart.pop("judge.atoms") is None
    assert set(apart.values()) == {0.0}


def test_other_prompts_are_not_compared(
    prompts: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = str(true_pictures_dir(prompts))
    _scored(prompts, family, tmp_path / "one", "--images", true)
    rows = [json.loads(line) for line in prompts.read_text().splitlines()]
    rows[0]["atoms"].append(json.loads(TimeAtom(time="day").model_dump_json()))
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _scored(prompts, family, tmp_path / "two", "--images", true)
    runs = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["compare", *runs, "--out", str(tmp_path / "compared")]) == 2
    assert "colour-0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--images"),
        (["--images", "x", "--model", "y"], "--images"),
        (["--images", "nowhere"], "--images must be there, found no nowhere"),
        (["--model", "nowhere"], "--model must be there, found no nowhere"),
        (["--images", "x", "--format", "geneval"], "--vqa"),
        (["--images", "x", "--per_category", "0"], "--per_category"),
        (["--images", ".", "--categories", "[dense]"], "--categories"),
    ],
)
def test_bad_input_is_told_in_one_line(
    prompts: Path, family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert _scored(prompts, family, tmp_path / "out", *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_prompts_of_another_bench_are_scored_by_a_judge_given_by_class_path(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "color.txt").write_text("a red barn and a blue tent\na cactus\n")
    _pictures(tmp_path / "images", ["00000", "00001"])
    given = {
        "prompts": tmp_path / "color.txt",
        "format": "t2icompbench",
        "images": tmp_path / "images",
        "clip": family / "eval_clip",
        "vqa": json.dumps(
            {"class_path": "eval.testing.GivenAnswers", "init_args": {"yes": ["a red barn?", "a cactus?"]}}
        ),
        "out": tmp_path / "out",
    }
    assert main(["compbench", *(part for name, value in given.items() for part in (f"--{name}", str(value)))]) == 0
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"]
    assert told["color.product"]["value"] == 0.5
    assert told["color.atoms"]["value"] == pytest.approx(2 / 3)
    assert "given answers" in told["color.product"]["definition"]
    assert told["clip_sim"]["name"] == "clip_sim.chunked.eval_clip.n2"
    assert "at most 8" in capsys.readouterr().out
