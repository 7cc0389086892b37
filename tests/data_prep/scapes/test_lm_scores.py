import json
from collections.abc import Sequence

import pytest

from data_prep.scapes.lm_corpus import annotated
from data_prep.scapes.lm_eval import next_local_figures, summarise_figures
from data_prep.scapes.lm_scores import Figure, attribute_figures, named, read_answer, table, walk_figures
from data_prep.scapes.lm_tasks import Task, summary


@pytest.fixture(scope="module")
def windows() -> list[list[str]]:
    return annotated(150, held_out=True)


@pytest.mark.parametrize(
    ("task", "text", "n", "valid"),
    [
        ("imagine", '{"captions": ["a lake", "a town"]}', 2, True),
        ("imagine", '{"captions": ["a lake", "a town"]}', 3, False),
        ("imagine", '{"captions": ["a lake", "a lake"]}', 2, False),
        ("imagine", '{"captions": ["a lake", "a town"', 2, False),
        ("summarise", '{"caption": "a wide view: a lake"}', 1, True),
        ("summarise", '{"captions": ["a wide view: a lake"]}', 1, False),
        ("next_local", 'Sure: {"caption": "a lake"}', 1, False),
        ("next_local", '{"caption": "a very long lake"}', 1, False),
        ("next_local", '{"caption": ""}', 1, False),
    ],
)
def test_only_the_json_asked_for_is_valid(task: Task, text: str, n: int, valid: bool) -> None:
    assert (read_answer(task, text, n, lambda caption: "long" not in caption) is not None) == valid


def test_the_first_named_attribute_counts_and_any_mountains_do() -> None:
    captions = ["a town without mountains", "a lake at sunset", "a lake at night with mountains behind"]
    assert named(captions) == {"time": "at dusk", "weather": None, "mountains": True}


def test_lost_and_made_up_attributes_are_told_apart() -> None:
    inputs = [["a lake at dusk under a clear sky"], ["a lake"], ["a town at night"]]
    summaries = ["a wide view at dusk under a cloudy sky: a lake", "a wide view with mountains: a lake", None]
    figures = {figure.name.split(": ")[1]: figure for figure in attribute_figures(inputs, summaries, "x")}
    assert figures["global attributes carried"].value == pytest.approx(1 / 3)
    assert (figures["time carried"].value, figures["weather carried"].value) == (0.5, 0.0)
    assert figures["mountains made up where no caption names it"].value == pytest.approx(1 / 3)
    assert figures["time made up where no caption names it"].cases == 1


def test_walks_are_scored_by_what_changes() -> None:
    walk = ["a red barn in a meadow", "a red barn in a meadow", "a blue car in a town", "a bird in the open sky"]
    biomes, repeats, again = walk_figures([walk], "x")
    assert (biomes.value, repeats.value, again.value) == (2, pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_the_teacher_s_own_summaries_score_full_marks(windows: list[list[str]]) -> None:
    def ask(task: Task, cases: Sequence[dict[str, object]]) -> list[list[str] | None]:
        return [[summary(case["captions"])] for case in cases]  # type: ignore[arg-type]

    figures = summarise_figures(ask, windows, [["a lake"]] * len(windows))
    assert all(figure.met for figure in figures if figure.target)
    assert all(figure.value == 0 for figure in figures if "made up" in figure.name)


def test_walks_follow_the_model_and_stand_beside_rules_and_truth(windows: list[list[str]]) -> None:
    shown: list[str] = []

    def ask(task: Task, cases: Sequence[dict[str, object]]) -> list[list[str] | None]:
        shown.append(json.dumps(cases[0]))
        bare = [case["direction"] == "up" for case in cases]
        return [["the open sky"] if sky else ["a red barn in a meadow"] for sky in bare]

    figures = {figure.name: figure.value for figure in next_local_figures(ask, windows, 4, walks=8)}
    assert figures["next_local, ScapesLM: distinct biomes in a walk"] == 1
    assert figures["next_local, ScapesLM: repeats the caption before"] == 1
    assert 2 < figures["next_local, ground truth: distinct biomes in a walk"] <= 6
    assert figures["next_local, rules: distinct biomes in a walk"] >= 1
    assert figures["next_local, up: nothing in the sky (teacher 60%)"] == 1
    assert figures["next_local, down: nothing underground (teacher 25%)"] == 0
    assert "a red barn in a meadow" in shown[2]


def test_the_table_names_missed_targets() -> None:
    text = table([Figure("one", 0.5, 10, 0.9), Figure("two", 1.0, 10, 0.9), Figure("three", 3.25, 4, share=False)])
    assert "| one | 50.0 % | >= 90 % | MISSED | 10 |" in text
    assert "| three | 3.25 | - | - | 4 |" in text
    assert "1 of 2 targets are missed: one." in text
