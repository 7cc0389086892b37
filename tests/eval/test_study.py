import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.cli import main
from eval.study.design import broken, make_trials, plan
from eval.study.study import StudyConfig, study

HOSTILE = "</script><script>alert(1)</script> & <b>bold</b>"


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three methods with five wide pictures each, the first with captions."""
    rng = np.random.default_rng(0)
    made = []
    for name in ("secret_ours", "secret_theirs", "secret_plain"):
        folder = tmp_path / name / "pictures"
        folder.mkdir(parents=True)
        for index in range(5):
            Image.fromarray(rng.integers(0, 256, (16, 48, 3), dtype=np.uint8)).save(folder / f"k{index}.png")
        made.append(tmp_path / name)
    rows = [{"image": f"k{index}.png", "caption": f"{HOSTILE} {index}"} for index in range(5)]
    (made[0] / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def _data(page: Path) -> dict[str, Any]:
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(found)


def test_every_pair_is_shown_once_and_methods_take_turns_in_first_place() -> None:
    items = [f"i{index}" for index in range(7)]
    trials = make_trials(3, items, 4, seed=0)
    pairs = Counter((trial.item, trial.methods) for trial in trials if not trial.is_check)
    assert len(pairs) == 7 * 3
    assert set(pairs.values()) == {1}
    assert sum(trial.is_check for trial in trials) == 4
    for rater in (1, 2, 9):
        shown = plan(trials, rater, seed=0)
        assert sorted(view.trial for view in shown) == list(range(len(trials)))
        for methods in ((0, 1), (0, 2), (1, 2)):
            swapped = [view.swapped for view in shown if trials[view.trial].methods == methods]
            assert abs(2 * sum(swapped) - len(swapped)) <= 1
        checks = [view.swapped for view in shown if trials[view.trial].is_check]
        assert sum(checks) == 2


def test_couples_of_raters_see_opposite_places_in_other_orders() -> None:
    trials = make_trials(2, ["a", "b", "c"], 2, seed=1)
    one, other = plan(trials, 3, seed=1), plan(trials, 4, seed=1)
    assert dict(one) == {trial: not swapped for trial, swapped in other}
    assert [view.trial for view in one] != [view.trial for view in other]
    assert plan(trials, 3, seed=1) == one


def test_names_of_pictures_tell_no_method() -> None:
    trials = make_trials(2, [f"i{index}" for index in range(200)], 0, seed=0)
    first_is_smaller = sum(trial.pictures[0] < trial.pictures[1] for trial in trials)
    assert 70 < first_is_smaller < 130
    assert len({name for trial in trials for name in trial.pictures}) == 400


def test_a_broken_copy_is_another_picture_of_the_same_size() -> None:
    picture = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 32, axis=0).repeat(3, axis=2)
    copy = broken(picture, 0)
    assert copy.shape == picture.shape
    assert np.abs(copy.astype(int) - picture).mean() > 30
    assert (broken(picture, 0) == copy).all()


def test_the_page_is_blind_whole_and_escaped(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    key = study(StudyConfig(runs=runs, out=out, raters=3, checks=2))
    page = (out / "study.html").read_text()
    assert not re.search(r"secret|https?:|k\d\.png", page), "methods, addresses and file names stay out"
    assert HOSTILE not in page
    data = _data(out / "study.html")
    assert data["wide"] is True
    assert len(data["plans"]) == 3
    assert sorted(caption[-1] for *_, caption in data["trials"]) == sorted(
        trial["item"][-1] for trial in key["trials"].values()
    )
    assert all(caption.startswith(HOSTILE) for *_, caption in data["trials"])
    assert key["methods"] == ["secret_ours", "secret_theirs", "secret_plain"]
    assert json.loads((out / "key.json").read_text()) == key
    assert len(data["pictures"]) == 3 * 5 + 2
    assert all(uri.startswith("data:image/webp;base64,") for uri in data["pictures"].values())


def test_the_same_seed_makes_the_same_page(runs: list[Path], tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        study(StudyConfig(runs=runs, out=tmp_path / name, seed=seed, raters=2))
    one, again, other = ((tmp_path / name / "study.html").read_bytes() for name in "abc")
    assert one == again
    assert one != other


def _spoil(runs: list[Path], what: str) -> None:
    picture = runs[1] / "pictures" / "k0.png"
    if what == "size":
        Image.new("RGB", (48, 17)).save(picture)
    elif what == "damaged":
        picture.write_bytes(b"no picture")
    elif what == "names":
        for path in (runs[1] / "pictures").iterdir():
            path.rename(path.with_stem(f"other{path.stem}"))
    elif what == "captions":
        (runs[1] / "captions.jsonl").write_text('{"image": "k0.png", "caption": "another"}\n')
    elif what == "empty":
        shutil.rmtree(runs[1] / "pictures")


@pytest.mark.parametrize(
    ("what", "flags", "message"),
    [
        ("size", {}, "pictures of k0 must have one size"),
        ("damaged", {}, "k0.png must be a readable picture"),
        ("names", {}, "names in common"),
        ("captions", {}, "those of k0 differ"),
        ("empty", {}, "found none in"),
        ("", {"max_mb": 0.01}, "lower --items or --max_side_px"),
        ("", {"items": 0}, "--items must be at least 1"),
    ],
)
def test_what_does_not_go_together_is_refused(
    what: str, flags: dict[str, Any], message: str, runs: list[Path], tmp_path: Path
) -> None:
    _spoil(runs, what)
    with pytest.raises(ValueError, match=re.escape(message)):
        study(StudyConfig(runs=runs, out=tmp_path / "out", **flags))
    assert not (tmp_path / "out").exists()


def test_the_key_of_a_study_that_may_be_handed_out_is_kept(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    key = study(StudyConfig(runs=runs[:2], out=out, raters=2))
    assert study(StudyConfig(runs=runs[:2], out=out, raters=2)) == key
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match=rf"key\.json is the key of another study \({key['study']}\)"):
        study(StudyConfig(runs=runs[:2], out=out, raters=2, seed=1))
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    (out / "key.json").write_text("[]")
    with pytest.raises(ValueError, match=r"key\.json is the key of another study"):
        study(StudyConfig(runs=runs[:2], out=out, raters=2))


def test_one_method_is_not_compared_with_itself(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--runs must name different methods"):
        StudyConfig(runs=[runs[0], runs[1], runs[0].parent / "." / runs[0].name], out=tmp_path / "out")
    (tmp_path / "link").symlink_to(runs[0])
    with pytest.raises(ValueError, match="--runs must name different methods"):
        StudyConfig(runs=[runs[0], tmp_path / "link"], out=tmp_path / "out")


def test_pictures_are_made_smaller_and_items_spread(runs: list[Path], tmp_path: Path) -> None:
    key = study(StudyConfig(runs=runs[:2], out=tmp_path / "out", items=3, checks=0, max_side_px=24))
    assert sorted(trial["item"] for trial in key["trials"].values()) == ["k0", "k2", "k4"]


def test_the_command_makes_a_study_and_reads_its_answers(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["study", "--runs", *map(str, runs[:2]), "--out", str(out), "--items", "2", "--checks", "1"]) == 0
    data = _data(out / "study.html")
    rows = [
        {"trial": trial, "first": one, "second": other, "choice": "tie", "ms": 1000}
        for trial, one, other, _ in data["trials"]
        if json.loads((out / "key.json").read_text())["trials"][trial]["methods"] == [0, 1]
    ]
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"schema": 1, "study": data["study"], "rater": 1, "answers": rows}))
    report = ["study-report", str(answers), "--key", str(out / "key.json"), "--out", str(tmp_path / "report")]
    assert main([*report, "--ties", "drop"]) == 0
    assert json.loads((tmp_path / "report" / "preferences.json").read_text())["pairs"][0]["ties"] == 2
    capsys.readouterr()
    assert main([*report[:2], *report[1:]]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_keys_answer_in_a_browser_and_the_file_holds_what_was_chosen(
    runs: list[Path], tmp_path: Path, browse: Callable[..., bytes]
) -> None:
    out = tmp_path / "out"
    key = study(StudyConfig(runs=runs[:2], out=out, items=2, checks=1, raters=2))
    script = """<script>
      URL.createObjectURL = (blob) => { blob.text().then((text) => { document.title = text; }); return "#"; };
      const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
      element("rater").value = 2;
      element("enter").requestSubmit();
      ["ArrowLeft", "ArrowRight", "Backspace", "0", "ArrowDown"].forEach(press);
      element("save").click();
    </script>"""
    page = out / "study.html"
    page.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    told = browse(page, "--dump-dom").decode()
    (title,) = re.findall(r"<title>(.*?)</title>", told, re.DOTALL)
    answers = json.loads(title.replace("&quot;", '"'))
    assert (answers["study"], answers["rater"]) == (key["study"], 2)
    assert [answer["choice"] for answer in answers["answers"]] == ["first", "tie", "second"]
    for answer in answers["answers"]:
        assert {answer["first"], answer["second"]} == set(key["trials"][answer["trial"]]["pictures"])
