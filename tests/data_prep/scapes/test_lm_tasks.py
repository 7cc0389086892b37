import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from data_prep.scapes.captions import PLACES
from data_prep.scapes.lm_corpus import SKY, UNDERGROUND, Places, annotated, read_local, things_in
from data_prep.scapes.lm_tasks import (
    BARE_SHARE,
    MAX_IMAGINED,
    SUMMARY_WORDS,
    TASKS,
    Task,
    Teacher,
    next_place,
    read_whole,
    summary,
)
from data_prep.scapes.lm_wordings import elsewhere, listed, places_named, typed
from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.length import CaptionLimit
from lit_outpaint.captions.scene import read_scene

MODELS = Path(__file__).parents[3] / "models" / "scapes"
NOUNS = tuple(noun for wordings in PLACES.values() for noun, _ in wordings)


@pytest.fixture(scope="module")
def windows() -> list[list[str]]:
    return annotated(1500)


@pytest.fixture(scope="module")
def teacher(windows: list[list[str]]) -> Teacher:
    return Teacher(windows)


@pytest.mark.parametrize(
    ("caption", "text", "places", "things"),
    [
        ("two red barns and a windmill in a meadow", None, ("meadow",), ("red barn", "windmill")),
        ("a view of a town: a red car, a blue house and a car", "a town with a red car and a blue house and a car",
         ("town",), ("red car", "blue house", "car")),
        ("there is a cactus between a desert on the left and a lake on the right",
         "a cactus between a desert and a lake", ("desert", "lake"), ("cactus",)),
        ("a bird high up in the sky at sunset under a cloudy sky", "a bird high up in the sky", ("sky",), ("bird",)),
        ("two pairs of stars in the open sky", None, ("sky",), ("pair of stars",)),
        ("a man rides a horse", None, (), ()),
    ],
)  # fmt: skip
def test_a_caption_is_taken_apart(caption: str, text: str | None, places: tuple[str], things: tuple[str]) -> None:
    local = read_local(caption)
    assert (local.text, local.places, local.things) == (text or caption, places, things)


def test_things_are_drawn_only_where_captions_put_them_most_often() -> None:
    home = ["a car in a town"] * 3 + ["a red house in a town"]
    places = Places([home, ["a car in a meadow", "two cars in a town", "a car and a car in a town"]])
    assert {local.text for local in places.every} == {"a car in a town", "a red house in a town", "two cars in a town"}


def test_a_summary_carries_the_first_attributes_and_each_place_once() -> None:
    captions = [
        "a red barn in a meadow",
        "a view of a meadow: a blue barn",
        "a meadow in the night under a clear sky",
        "a desert with a cactus at dawn",
        "a lake with mountains behind",
    ]
    head = "a wide view at night under a clear sky with mountains"
    assert summary(captions) == f"{head}: a red barn in a meadow, a desert with a cactus, and a lake"


def test_a_summary_of_captions_without_attributes_names_none() -> None:
    scene = read_scene(summary(["two boulders underground", "a town", "a man on a horse without mountains"]))
    assert (scene.time, scene.weather, scene.mountains) == (None, None, None)


def test_a_summary_of_another_world_stays_within_the_text_encoder() -> None:
    limit, rng = CaptionLimit(str(MODELS / "tokenizer")), random.Random(0)
    assert all(limit.fits(summary([elsewhere(rng) for _ in range(5)])) for _ in range(200))


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_as_the_schema_wants_and_equal_for_equal_generators(teacher: Teacher, task: Task) -> None:
    for seed in range(150):
        example = teacher.example(task, random.Random(seed))
        assert example == teacher.example(task, random.Random(seed))
        if task == "imagine":
            captions: Sequence[str] = CaptionsAnswer.model_validate_json(example.answer).captions
            assert f"Write {len(captions)} different" in example.messages[1].text
        else:
            captions = [CaptionAnswer.model_validate_json(example.answer).caption]
        assert all(len(caption.split()) <= (SUMMARY_WORDS if task == "summarise" else 20) for caption in captions)


@pytest.mark.parametrize("task", TASKS)
def test_short_examples_hold_few_captions_and_name_the_weather(
    teacher: Teacher, windows: list[list[str]], task: Task
) -> None:
    for seed in range(40):
        example = teacher.example(task, random.Random(seed), short=True)
        user = example.messages[1].text
        if task == "imagine":
            assert len(CaptionsAnswer.model_validate_json(example.answer).captions) <= 3
        elif task == "summarise":
            captions = json.loads(user[user.index("[") : user.index("]") + 1])
            assert len(captions) <= 3
        else:
            assert user.count('", "') < 20
    told = [[*windows[0][:1], "a lake at night under a cloudy sky", "a lake", "a lake", "a lake"]]
    short = [Teacher(told).example("summarise", random.Random(seed), short=True).answer for seed in range(30)]
    assert sum("under a cloudy sky" in answer for answer in short) > 15


def test_imagined_places_differ_and_name_no_attributes(teacher: Teacher, windows: list[list[str]]) -> None:
    for seed in range(50):
        rng = random.Random(seed)
        given = rng.choice(rng.choice(windows))
        found = teacher.imagined(rng, given, 3)
        places = [set(read_local(caption).places) for caption in (given, *found)]
        assert all(not one & other for i, one in enumerate(places) for other in places[:i])
        assert all(read_scene(caption).time is None for caption in found)
        place_first = [caption.startswith(NOUNS) for caption in found]
        assert place_first == [True, False, True]
    assert len(set(teacher.imagined(rng, given, MAX_IMAGINED))) == MAX_IMAGINED


def test_up_is_sky_down_is_underground_and_sideways_follows_the_scene() -> None:
    whole = read_whole("a wide view at dusk: a meadow with a barn, a lake and a town")
    rng = random.Random(0)
    assert next_place(rng, "up", whole, []) == "sky"
    assert next_place(rng, "down", whole, []) == "underground"
    drawn = [[next_place(rng, side, whole, []) for _ in range(400)] for side in ("right", "left")]
    assert [max(set(names), key=names.count) for names in drawn] == ["meadow", "town"]
    assert next_place(rng, "left", read_whole("a balloon in the open sky"), []) == "sky"


def test_a_place_goes_on_for_a_while_and_then_changes() -> None:
    whole, rng = read_whole("a meadow and a lake"), random.Random(0)
    stays = [[next_place(rng, "right", whole, ["a barn in a meadow"] * n) for _ in range(300)] for n in (1, 5)]
    shares = [names.count("meadow") / 300 for names in stays]
    assert shares[0] > 0.6
    assert shares[1] == 0


@pytest.mark.parametrize(("place", "bare", "number"), [(SKY, 145, 379), (UNDERGROUND, 15, 211)])
def test_a_new_half_is_bare_as_often_as_two_halves_make_a_bare_window(place: str, bare: int, number: int) -> None:
    windows = [[read_local(caption) for caption in captions] for captions in annotated(3000)]
    there = [locals_ for locals_ in windows if {name for local in locals_ for name in local.places} == {place}]
    assert (sum(not any(local.things for local in locals_) for locals_ in there), len(there)) == (bare, number)
    assert BARE_SHARE[place] == pytest.approx((bare / number) ** 0.5, abs=0.03)


@pytest.mark.parametrize(("direction", "share"), [("up", 0.6), ("down", 0.25), ("right", 0.0)])
def test_off_the_surface_there_is_often_nothing(teacher: Teacher, direction: str, share: float) -> None:
    rng, whole = random.Random(0), read_whole("a wide view at dusk: a meadow and a desert")
    texts = [teacher.next_caption(rng, direction, whole, [], set()) for _ in range(500)]
    bare = sum(not things_in([text]) for text in texts) / len(texts)
    assert bare == pytest.approx(share, abs=0.06)


def test_next_captions_name_new_things_where_there_are_any(teacher: Teacher) -> None:
    whole, rng = read_whole("a wide view by day: a meadow"), random.Random(0)
    seen = {"red barn", "blue barn", "yellow barn", "red windmill"}
    for _ in range(40):
        caption = teacher.next_caption(rng, "right", whole, ["a meadow with a red barn"], seen)
        assert "meadow" not in read_local(caption).places or not things_in([caption]) & seen


def test_whole_scenes_are_understood_in_any_words(teacher: Teacher) -> None:
    rng = random.Random(0)
    for _ in range(100):
        names = rng.sample(["meadow", "desert", "forest", "snowfield", "lake", "town"], 3)
        places = [rng.choice(teacher.places.single[name]) for name in names]
        assert places_named(listed(rng, places)) == tuple(names)
        assert places_named(typed(rng, places)) == tuple(names)
    assert not any(read_local(elsewhere(rng)).places for _ in range(100))
