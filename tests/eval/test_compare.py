import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.cli import main
from eval.compare import CompareConfig, compare
from eval.comparison import differs
from eval.functional.bootstrap import Estimate
from eval.judge import judges_hash
from eval.testing import write_toy_run


def test_differences_are_paired_and_settings_named_first(tmp_path: Path) -> None:
    runs = [write_toy_run(tmp_path / "one"), write_toy_run(tmp_path / "two", 0.5, {"checkpoint": "<i>new</i>"})]
    out = tmp_path / "out"
    compare(CompareConfig(runs=runs, out=out))
    told = json.loads((out / "comparison.json").read_text())
    assert told["settings_that_differ"] == {"checkpoint": [None, "<i>new</i>"]}
    (seam,) = told["figures"]["seam"]["others"]
    assert (seam["run"], seam["value"], seam["difference"]) == ("two", 2.5, 0.5)
    assert seam["interval_95"] == pytest.approx([0.5, 0.5])
    assert told["figures"]["is"]["others"] == [{"run": "two", "value": 3.5, "difference": None}]
    assert told["figures"]["fid"]["first"] is None
    text = (out / "comparison.md").read_text()
    assert text.index("<i>new</i>") < text.index("<b>seam</b> \\| joint") < text.index("How seam is made.")
    assert sorted(path.name for path in out.iterdir()) == ["comparison.json", "comparison.md"]


@pytest.mark.parametrize(
    ("low", "high", "num_units", "said"),
    [
        (0.1, 0.2, 6, "yes"),
        (-0.2, -0.1, 60, "yes"),
        (0.1, 0.2, 5, "too few"),
        (-0.1, 0.2, 60, "no"),
        (0, 0.1, 60, "no"),
    ],
)
def test_a_difference_is_marked_where_enough_agree(low: float, high: float, num_units: int, said: str) -> None:
    assert differs(Estimate((low + high) / 2, low, high, num_units, num_units)) == said


def test_figures_of_other_names_are_not_compared(tmp_path: Path) -> None:
    one, two = write_toy_run(tmp_path / "one"), write_toy_run(tmp_path / "two")
    _changed(two, lambda content: content["figures"]["seam"].update(name="seam of other windows"))
    compare(CompareConfig(runs=[one, two], out=tmp_path / "out"))
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert told["figures"]["seam"]["first"] == 2
    assert told["figures"]["seam"]["others"] == [{"run": "two", "value": None, "difference": None}]


def _changed(run: Path, change: Callable[[Any], object]) -> None:
    content = json.loads((run / "metrics.json").read_text())
    change(content)
    (run / "metrics.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content["settings"]["sampling"].update(seed=1),
            "runs must share --sampling.seed, got 0 in one and 1 in two",
        ),
        (lambda content: content["settings"]["judge"].update(cloud_share=0.2), "--judge.cloud_share"),
        (lambda content: content["made"].update(judges="another probe"), "judged by the same networks"),
        (lambda content: content["per_panorama"][0].update(key="q"), "differ in 2, such as p0"),
        (lambda content: content["per_panorama"][0].update(inputs="other"), "same windows and captions"),
        (lambda content: content.update(schema=2), "must have version 3, got 2; do that run again: python -m eval run"),
        (lambda content: content.pop("made"), "must be as eval run writes it"),
        (lambda content: content.pop("per_panorama"), "is one of another verb"),
        (lambda content: content["per_panorama"][0].pop("inputs"), "per_panorama.0.inputs: Field required"),
        (lambda content: content["figures"]["seam"].pop("unit"), "is damaged (KeyError('unit')); do that run again"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(
    change: Callable[[Any], object], message: str, tmp_path: Path
) -> None:
    one, two = write_toy_run(tmp_path / "one"), write_toy_run(tmp_path / "two")
    _changed(two, change)
    with pytest.raises(ValueError, match=re.escape(message)):
        compare(CompareConfig(runs=[one, two], out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_one_run_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two runs"):
        CompareConfig(runs=[tmp_path], out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"holds no metrics\.json"):
        compare(CompareConfig(runs=[tmp_path, tmp_path / "other"], out=tmp_path / "out"))


def test_runs_of_the_command_itself_can_be_compared_and_shown(family: Path, evalset: Path, tmp_path: Path) -> None:
    for name, flags in (("one", []), ("two", ["--sampling.guidance_scale", "1.5"])):
        given = ["--checkpoint", family / "outpaint", "--data", evalset, "--models", family, "--out", tmp_path / name]
        small = ["--panoramas", 2, "--steps", 1, "--shown", 1, "--sampling.num_inference_steps", 1]
        assert main(["run", *map(str, [*given, *small]), *flags]) == 0
    runs = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["compare", *runs, "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert list(told["settings_that_differ"]) == ["sampling.guidance_scale"]
    content = json.loads((tmp_path / "two" / "metrics.json").read_text())
    figures = content["figures"]
    assert content["made"]["judges"] == judges_hash(family) != judges_hash(tmp_path)
    (seam,) = told["figures"]["seam"]["others"]
    assert seam["value"] == figures["seam"]["value"]
    assert seam["difference"] == pytest.approx(seam["value"] - told["figures"]["seam"]["first"], abs=1e-5)
    captions = [json.loads(line) for line in (tmp_path / "one" / "captions.jsonl").read_text().splitlines()]
    assert sorted(path.name for path in (tmp_path / "one" / "pictures").iterdir()) == [row["image"] for row in captions]
    assert main(["report", *runs, "--out", str(tmp_path / "report")]) == 0
    page, table = ((tmp_path / "report" / name).read_text() for name in ("report.html", "metrics.md"))
    assert page.count("<img") == 3, "the real panorama and those of both runs"
    assert all(figure["name"] in table for figure in figures.values())
    paired = (tmp_path / "out" / "comparison.md").read_text().split("## ")[2]
    assert paired.startswith("Paired differences")
    assert paired in table
