import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.study.report import StudyReportConfig, study_report

METHODS, ITEMS, RATERS = ["<i>ours</i>", "theirs", "plain"], 8, 4
Choose = Callable[[int, int, int], str]
"""From rater, item and pair to ``first`` or ``second`` method, or ``tie``."""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key with all pairs of three methods and two attention checks."""
    trials: dict[str, Any] = {}
    for pair in ((0, 1), (0, 2), (1, 2)):
        for item in range(ITEMS):
            names = [f"p{item}{method}" for method in pair]
            trials[f"t{pair}{item}"] = {"item": f"i{item}", "methods": pair, "pictures": names}
    for item in range(2):
        trials[f"check{item}"] = {"item": f"i{item}", "methods": [0, 0], "pictures": [f"p{item}0", f"broken{item}"]}
    file = tmp_path / "key.json"
    content = {"study": "abc", "question": "Which?", "methods": METHODS, "raters": RATERS, "trials": trials}
    file.write_text(json.dumps(content))
    return file


def _answers(key: Path, rater: int, choose: Choose, fails: bool = False, only: int | None = None) -> Path:
    """What the page saves for a rater who sees every other pair swapped."""
    rows = []
    for place, (name, trial) in enumerate(json.loads(key.read_text())["trials"].items()):
        shown = trial["pictures"][::-1] if (place + rater) % 2 else trial["pictures"]
        if trial["methods"][0] == trial["methods"][1]:
            wanted = trial["pictures"][1 if fails else 0]
        else:
            choice = choose(rater, int(trial["item"][1:]), sum(trial["methods"]))
            wanted = {"first": trial["pictures"][0], "second": trial["pictures"][1]}.get(choice, "")
        choice = ("first" if shown[0] == wanted else "second") if wanted else "tie"
        rows.append({"trial": name, "first": shown[0], "second": shown[1], "choice": choice, "ms": 2000})
    file = key.parent / f"answers-{rater}.json"
    file.write_text(json.dumps({"schema": 1, "study": "abc", "rater": rater, "answers": rows[:only]}))
    return file


def _report(key: Path, results: list[Path], **options: Any) -> dict[str, Any]:
    study_report(StudyReportConfig(results=results, key=key, out=key.parent / "out", **options))
    return json.loads((key.parent / "out" / "preferences.json").read_text())


def test_what_all_prefer_wins_wherever_it_was_shown(key: Path) -> None:
    told = _report(key, [_answers(key, rater, lambda *_: "first") for rater in (1, 2, 3)])
    for pair in told["pairs"]:
        assert (pair["wins"], pair["losses"], pair["preference"]) == (3 * ITEMS, 0, 1)
        assert pair["fleiss_kappa"] is None, "all answers are alike"
    assert told["share_of_first_place"] == pytest.approx(0.5, abs=0.05)
    page = (key.parent / "out" / "preferences.html").read_text()
    assert "&lt;i&gt;ours" in page
    assert "<i>" not in page


def test_agreement_is_full_when_raters_answer_alike_about_different_items(key: Path) -> None:
    by_item = [_answers(key, rater, lambda _, item, __: "first" if item % 2 else "second") for rater in (1, 2, 3)]
    pair = _report(key, by_item)["pairs"][0]
    assert (pair["fleiss_kappa"], pair["krippendorff_alpha"], pair["preference"]) == (1, 1, 0.5)
    assert pair["interval_95"][0] < 0.5 < pair["interval_95"][1]


def test_ties_count_half_or_not_at_all(key: Path) -> None:
    results = [_answers(key, rater, lambda rater, *_: ("first", "tie")[rater % 2]) for rater in (1, 2)]
    assert _report(key, results)["pairs"][0]["preference"] == 0.75
    assert _report(key, results, ties="drop")["pairs"][0]["preference"] == 1


def test_one_rater_gets_the_exact_interval(key: Path) -> None:
    results = [_answers(key, 1, lambda _, item, __: "tie" if item < 2 else "first")]
    pair = _report(key, results)["pairs"][0]
    assert (pair["wins"], pair["ties"], pair["interval"]) == (6, 2, "exact binomial")
    assert pair["interval_95"] == pytest.approx([0.025 ** (1 / 6), 1.0])


def test_raters_who_fail_the_checks_are_left_out_and_counted(key: Path) -> None:
    results = [_answers(key, rater, lambda *_: "first") for rater in (1, 2)]
    told = _report(key, [*results, _answers(key, 3, lambda *_: "second", fails=True)])
    assert (told["raters"], told["raters_left_out"]) == (3, [3])
    assert told["pairs"][0]["preference"] == 1
    kept = _report(key, [*results, key.parent / "answers-3.json"], min_checks=0.0)
    assert kept["pairs"][0]["preference"] == pytest.approx(2 / 3)


def test_unfinished_answers_count_as_far_as_they_go(key: Path) -> None:
    results = [_answers(key, 1, lambda *_: "first"), _answers(key, 2, lambda *_: "first", only=3)]
    told = _report(key, results)
    assert told["raters_incomplete"] == [2]
    assert told["pairs"][0]["wins"] == ITEMS + 3
    assert told["pairs"][1]["wins"] == ITEMS


def _changed(file: Path, **changes: object) -> Path:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return file


def test_what_does_not_fit_the_key_is_refused(key: Path) -> None:
    def refused(results: list[Path], message: str) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            _report(key, results)
        assert not (key.parent / "out").exists()

    good = _answers(key, 1, lambda *_: "first")
    other = _answers(key, 2, lambda *_: "first")
    refused([good, good], "both of rater 1")
    refused([_answers(key, 3, lambda *_: "first", fails=True)], "all 1 failed")
    refused([key.parent / "absent.json"], "found no")
    rows = json.loads(other.read_text())["answers"]
    refused([_changed(other, answers=[rows[0], rows[0]])], "at most once")
    refused([_changed(other, answers=[rows[0] | {"first": "p99"}])], "ask for it again")
    refused([_changed(other, answers=[rows[0] | {"ms": float("inf")}])], "ask for it again")
    refused([_changed(other, rater=float("inf"))], "ask for it again")
    refused([_changed(other, answers=[], rater=99)], "a rater from 1 to 4")
    refused([_changed(other, study="xyz")], "but")
    other.write_text("{")
    refused([other], "must be JSON")
