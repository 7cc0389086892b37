import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from eval.cli import main
from eval.compare import CompareConfig, compare


def _written(directory: Path, content: dict[str, Any]) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "metrics.json").write_text(json.dumps(content))
    return directory


@pytest.fixture
def content() -> dict[str, Any]:
    """What eval run leaves, of 3 panoramas and 2 steps."""
    figure = {"name": "<b>seam</b> | joint", "definition": "A definition.", "unit": "plain", "value": 1.5}
    judged = {"name": "time kept", "definition": "Another.", "unit": "percent", "value": 0.5}
    rows = [
        {
            "key": f"p{index}",
            "inputs": f"{index}",
            "ratios": {"seam": [3.0 + index, 2], "time_kept_last_step": [1, 1]},
        }
        for index in range(3)
    ]
    settings = {"steps": 2, "direction": "right", "panoramas": 3, "out": "a", "sampling": {"seed": 0, "eta": 0.0}}
    return {
        "settings": settings | {"judge": {"cloud_share": 0.1}},
        "figures": {"seam": figure, "time_kept_last_step": judged, "inception_score": figure | {"name": "IS"}},
        "per_panorama": rows,
    }


def _other(content: dict[str, Any]) -> dict[str, Any]:
    other = copy.deepcopy(content)
    other["settings"] |= {"out": "b", "checkpoint": "<i>new</i>"}
    other["settings"]["sampling"]["eta"] = 1.0
    other["figures"]["inception_score"]["value"] = 2.5
    for row in other["per_panorama"]:
        row["ratios"] = {"seam": [row["ratios"]["seam"][0] + 1, 2], "time_kept_last_step": [0, 1]}
    return other


def test_differences_are_paired_and_settings_named_first(content: dict[str, Any], tmp_path: Path) -> None:
    runs = [_written(tmp_path / "one", content), _written(tmp_path / "two", _other(content))]
    out = tmp_path / "out"
    compare(CompareConfig(runs=runs, out=out))
    told = json.loads((out / "comparison.json").read_text())
    assert told["settings_that_differ"] == {"checkpoint": [None, "<i>new</i>"], "sampling.eta": [0.0, 1.0]}
    (seam,) = told["figures"]["seam"]["others"]
    assert (seam["run"], seam["difference"]) == ("two", 0.5)
    assert seam["interval_95"] == pytest.approx([0.5, 0.5])
    (kept,) = told["figures"]["time_kept_last_step"]["others"]
    assert kept["difference"] == -1
    assert told["figures"]["inception_score"]["others"] == [{"run": "two", "value": 2.5, "difference": None}]
    text = (out / "comparison.md").read_text()
    assert text.index("sampling.eta") < text.index("seam")
    page = (out / "comparison.html").read_text()
    assert "&lt;b&gt;seam&lt;/b&gt;" in page
    assert "<i>new" not in page


def _change(content: dict[str, Any], what: str) -> Any:
    if what == "seed":
        content["settings"]["sampling"]["seed"] = 1
    elif what == "judge":
        content["settings"]["judge"]["cloud_share"] = 0.2
    elif what == "panoramas":
        content["per_panorama"][0]["key"] = "q"
    elif what == "inputs":
        content["per_panorama"][0]["inputs"] = "other"
    elif what == "old":
        del content["per_panorama"][0]["inputs"]
    elif what == "kind":
        return {"per_panorama": 3}
    return content


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("seed", "runs must share --sampling.seed, got 0 in one and 1 in two"),
        ("judge", "--judge.cloud_share"),
        ("panoramas", "differ in 2, such as p0"),
        ("inputs", "same windows and captions"),
        ("old", "do that run again"),
        ("kind", "do that run again"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(
    what: str, message: str, content: dict[str, Any], tmp_path: Path
) -> None:
    one = _written(tmp_path / "one", content)
    two = _written(tmp_path / "two", _change(copy.deepcopy(content), what))
    with pytest.raises(ValueError, match=re.escape(message)):
        compare(CompareConfig(runs=[one, two], out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_one_run_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two runs"):
        CompareConfig(runs=[tmp_path], out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"holds no metrics\.json"):
        compare(CompareConfig(runs=[tmp_path, tmp_path], out=tmp_path / "out"))


def test_runs_of_the_command_itself_can_be_compared(family: Path, evalset: Path, tmp_path: Path) -> None:
    for name, flags in (("one", []), ("two", ["--sampling.guidance_scale", "1.5"])):
        given = ["--checkpoint", family / "outpaint", "--data", evalset, "--models", family, "--out", tmp_path / name]
        small = ["--panoramas", 2, "--steps", 1, "--shown", 0, "--sampling.num_inference_steps", 1]
        assert main(["run", *map(str, [*given, *small]), *flags]) == 0
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert list(told["settings_that_differ"]) == ["sampling.guidance_scale"]
    figures = json.loads((tmp_path / "two" / "metrics.json").read_text())["figures"]
    (seam,) = told["figures"]["seam"]["others"]
    assert seam["value"] == figures["seam"]["value"]
    assert seam["difference"] == pytest.approx(seam["value"] - told["figures"]["seam"]["first"], abs=1e-5)
    captions = [json.loads(line) for line in (tmp_path / "one" / "captions.jsonl").read_text().splitlines()]
    assert sorted(path.name for path in (tmp_path / "one" / "pictures").iterdir()) == [row["image"] for row in captions]
