import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.scapes.captions import NOUNS, annotate, global_caption, local_caption
from data_prep.scapes.world import SeenObject, World
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.regions import Region, RegionPlan
from lit_outpaint.planning.rules import RulePlanner
from lit_outpaint.protocols import Planner


def plan(prompt: str) -> RegionPlan:
    return RulePlanner(with_place=False, with_scene=False).plan(prompt).plan


def columns(prompt: str) -> list[str]:
    """Prompts of the regions from left to right; all must be as high as the picture and tile it."""
    regions = sorted(plan(prompt).regions, key=lambda region: region.box.x0)
    assert all((region.box.y0, region.box.y1) == (0, 1) for region in regions)
    assert sum(region.box.area for region in regions) == pytest.approx(1)
    return [region.prompt for region in regions]


def boxes(prompt: str) -> dict[str, tuple[float, ...]]:
    return {region.prompt: tuple(round(edge, 2) for edge in region.box.as_tuple()) for region in plan(prompt).regions}


def test_rules_are_a_planner() -> None:
    assert isinstance(RulePlanner(), Planner)


@pytest.mark.parametrize(
    ("prompt", "from_left"),
    [
        ("a red barn to the left of a blue tent", ["a red barn", "a blue tent"]),
        ("a red barn on the right of a blue tent", ["a blue tent", "a red barn"]),
        ("a tent to the right of a barn, and a cactus", ["a barn", "a tent", "a cactus"]),
        ("to the left of the tent there is a red barn", ["a red barn", "the tent"]),
        ("a man left of a woman, who is left of a child", ["a man", "a woman", "a child"]),
        ("a cat between a dog and a bird", ["a dog", "a cat", "a bird"]),
        ("a tent between two cactuses", ["a cactus", "a tent", "a cactus"]),
        ("a dog and a cat to the right of a barn", ["a barn", "a dog", "a cat"]),
        ("a car to the right of a house and to the left of a tree", ["a house", "a car", "a tree"]),
        ("a barn with a tent on its right", ["a barn", "a tent"]),
        ("a barn on the left, a tent on the right, and a cactus between them", ["a barn", "a cactus", "a tent"]),
        ("On the right, a barn. On the left there is a tent.", ["a tent", "a barn"]),
        ("a red barn, a blue tent and a cactus in a desert", ["a red barn", "a blue tent", "a cactus"]),
        ("two red barns and a windmill in a meadow", ["a red barn", "a red barn", "a windmill"]),
        ("three pairs of stars in the open sky", ["a pair of stars"] * 3),
        ("a black and white cat next to a man with a hat", ["a black and white cat", "a man with a hat"]),
        ("a big, red barn; a small blue tent", ["a big, red barn", "a small blue tent"]),
        ("some apples and a bowl", ["some apples", "a bowl"]),
        ("apple, orange, banana", ["apple", "orange", "banana"]),
        ("orange and blue balloons", ["orange and blue balloons"]),
        ("a bird to the left of a bird", ["a bird", "a bird"]),
        ("a lake to the left of a forest", ["a lake", "a forest"]),
        ("a meadow on the left and a lake on the right", ["a meadow", "a lake"]),
        ("a photo of a dog and a cat under a cloudy sky at dusk with mountains behind", ["a dog", "a cat"]),
    ],
)
def test_things_stand_in_a_row_as_the_prompt_says(prompt: str, from_left: list[str]) -> None:
    assert columns(prompt) == from_left


def test_of_relations_that_contradict_each_other_the_first_is_kept() -> None:
    assert columns("a cat left of a dog, the dog is left of the cat") == ["a cat", "a dog"]
    assert boxes("a cat above a dog above the cat") == {"a cat": (0, 0, 1, 0.5), "a dog": (0, 0.5, 1, 1)}


def test_things_above_each_other_share_a_column() -> None:
    assert boxes("a balloon above a red barn to the left of a blue tent") == {
        "a balloon": (0, 0, 0.5, 0.5),
        "a red barn": (0, 0.5, 0.5, 1),
        "a blue tent": (0.5, 0, 1, 1),
    }
    assert boxes("a chicken below a horse") == {"a chicken": (0, 0.5, 1, 1), "a horse": (0, 0, 1, 0.5)}
    assert boxes("a book on top of a chair, the chair is on top of a table") == {
        "a book": (0, 0, 1, 0.33),
        "a chair": (0, 0.33, 1, 0.67),
        "a table": (0, 0.67, 1, 1),
    }


def test_positions_in_the_picture_are_followed() -> None:
    assert boxes("a barn in the upper left corner, a car at the bottom") == {
        "a barn": (0, 0, 0.5, 0.5),
        "a car": (0, 0.5, 1, 1),
    }
    assert boxes("a barn on the left and a tent in the middle") == {
        "a barn": (0, 0, 0.33, 1),
        "a tent": (0.33, 0, 0.67, 1),
    }
    assert boxes("a balloon above, a barn below") == {"a balloon": (0, 0, 1, 0.5), "a barn": (0, 0.5, 1, 1)}


def test_sky_and_ground_stay_in_the_base_prompt() -> None:
    for prompt in ("a quiet view of a forest", "a wide view at dusk under a clear sky with mountains", "the open sky"):
        assert plan(prompt) == RegionPlan(base_prompt=prompt)


def test_a_region_says_where_its_thing_is() -> None:
    regions = (
        RulePlanner().plan("a meadow on the left and a lake on the right with a red barn on the left").plan.regions
    )
    assert [(region.prompt, region.thing, region.place) for region in regions] == [
        ("a red barn in a meadow", "a red barn", "a meadow"),
        ("a lake", "", "a lake"),
    ]
    regions = RulePlanner().plan("a wide view at dusk: a lake with a red boat, and a desert with a cactus").plan.regions
    assert [region.prompt for region in regions] == ["a red boat on a lake at dusk", "a cactus in a desert at dusk"]


@pytest.mark.parametrize(
    ("prompt", "from_left"),
    [
        ("a red barn and to the right of it a blue tent", ["a red barn", "a blue tent"]),
        ("a red barn, and to the left of it, a blue tent", ["a blue tent", "a red barn"]),
        ("a house. To the left of it a tent.", ["a tent", "a house"]),
        ("a cat, to the left of which is a dog", ["a dog", "a cat"]),
        ("two cats, and to the left of them a dog", ["a dog", "a cat", "a cat"]),
        ("a barn and a tent, and on its left a car", ["a barn", "a car", "a tent"]),
        ("a house and next to it a tent", ["a house", "a tent"]),
        ("a house and behind it a tree", ["a house", "a tree"]),
        ("a red house and a blue house, between them stands a tree", ["a red house", "a tree", "a blue house"]),
        ("a lake and to the left of it a barn", ["a barn", "a lake"]),
        ("a car left of a house and right of a tree", ["a tree", "a car", "a house"]),
    ],
)
def test_a_pronoun_stands_for_what_was_named_before(prompt: str, from_left: list[str]) -> None:
    assert columns(prompt) == from_left


def test_above_it_and_above_them_is_above_what_was_named_before() -> None:
    assert boxes("a barn and above it a balloon") == {"a barn": (0, 0.5, 1, 1), "a balloon": (0, 0, 1, 0.5)}
    assert boxes("a barn, and below it, a fossil") == {"a barn": (0, 0, 1, 0.5), "a fossil": (0, 0.5, 1, 1)}
    assert boxes("two cats with a bird above them")["a bird"] == (0, 0, 1, 0.5)


@pytest.mark.parametrize(
    ("prompt", "from_left"),
    [
        ("a cat on the left side of a dog", ["a cat", "a dog"]),
        ("a red barn on the right-hand side of a blue tent", ["a blue tent", "a red barn"]),
        ("a house with a tree on the left and a car on the right", ["a tree", "a house", "a car"]),
        ("a red barn with a blue tent to the right", ["a red barn", "a blue tent"]),
        (
            "a man with a dog on the left and a woman with a cat on the right",
            ["a man with a dog", "a woman with a cat"],
        ),
        ("a barn with a red roof on the left and a tent on the right", ["a barn with a red roof", "a tent"]),
        ("a barn on the left and a house with a tree on the right", ["a barn", "a house with a tree"]),
        ("a red chair in the left corner and a blue chair in the right corner", ["a red chair", "a blue chair"]),
        ("blue tent (right), red barn (left)", ["red barn", "blue tent"]),
    ],
)
def test_sides_are_those_of_things_or_of_the_picture(prompt: str, from_left: list[str]) -> None:
    assert columns(prompt) == from_left


def test_above_after_with_is_above_the_thing_before() -> None:
    expected = {"a fireplace": (0, 0.33, 1, 0.67), "a clock": (0, 0, 1, 0.33), "a rug": (0, 0.67, 1, 1)}
    assert boxes("a fireplace with a clock above and a rug below") == expected


def test_a_side_of_a_place_is_in_it() -> None:
    (chair,) = RulePlanner().plan("a chair in the upper left corner of the room").plan.regions
    assert (chair.prompt, chair.box.as_tuple()) == ("a chair in the room", (0, 0, 0.5, 0.5))


@pytest.mark.parametrize(
    ("prompt", "from_left"),
    [
        ("the house is red and the barn is blue", ["the red house", "the blue barn"]),
        ("a barn that is red", ["a red barn"]),
        ("the barn to the left is red and the tent to the right is blue", ["the red barn", "the blue tent"]),
        ("the house to the left of the barn is old", ["the old house", "the barn"]),
        ("a house, painted red, near a lake", ["a house painted red"]),
        ("a dog and a cat, both sleeping", ["a dog sleeping", "a cat sleeping"]),
        ("a dog, a cat and a bird, all sleeping", ["a dog sleeping", "a cat sleeping", "a bird sleeping"]),
        ("a cat and a dog are sleeping next to a ball", ["a cat sleeping", "a dog sleeping", "a ball"]),
        (
            "the house is red with a green roof and the barn is blue",
            ["the red house with a green roof", "the blue barn"],
        ),
        ("a dog that sits next to a cat", ["a dog", "a cat"]),
        ("a barn, which is red, to the left of a tent", ["a red barn", "a tent"]),
        ("a red and a blue balloon", ["a red balloon", "a blue balloon"]),
        ("one red and two blue balloons", ["one red balloon", "a blue balloon", "a blue balloon"]),
        ("a red, a green and a blue ball", ["a red ball", "a green ball", "a blue ball"]),
        ("a big dog and a small one", ["a big dog", "a small dog"]),
        ("an orange and a banana", ["an orange", "a banana"]),
        ("the sky is blue and the barn is red", ["the red barn"]),
        ("two dogs running", ["a dog running", "a dog running"]),
    ],
)
def test_attributes_belong_to_their_thing(prompt: str, from_left: list[str]) -> None:
    assert columns(prompt) == from_left


@pytest.mark.parametrize(
    "prompt",
    ["a beach without people", "a room with no windows and doors", "a meadow without a lake", "a street free of cars"],
)
def test_what_a_place_is_without_is_no_region(prompt: str) -> None:
    assert plan(prompt) == RegionPlan(base_prompt=prompt)


def test_what_a_thing_is_without_stays_in_its_phrase() -> None:
    prompt = "a barn without windows and doors next to a beach without people and a dog"
    assert columns(prompt) == ["a barn without windows and doors", "a dog"]


def test_the_shining_sun_is_one_thing() -> None:
    expected = {"the sun shining": (0, 0, 1, 0.5), "a small house": (0, 0.5, 1, 1)}
    assert boxes("the sun is shining above a small house") == expected


@pytest.mark.parametrize(
    ("prompt", "from_left"),
    [
        ("a purple dog and a yellow cat, digital art, 4k, highly detailed", ["a purple dog", "a yellow cat"]),
        ("a red barn, oil painting, by Van Gogh", ["a red barn"]),
        ("a cat & a dog", ["a cat", "a dog"]),
        ("a black & white cat", ["a black & white cat"]),
        ("a wide view at dusk of a red barn and a tent", ["a red barn", "a tent"]),
        ("a painting in the style of Monet of a bridge", ["a bridge"]),
        ("a photograph from above of a car", ["a car"]),
        ("a picture in winter of two dogs", ["a dog", "a dog"]),
    ],
)
def test_words_about_style_are_no_things(prompt: str, from_left: list[str]) -> None:
    assert columns(prompt) == from_left


@pytest.mark.parametrize(
    ("prompt", "from_left"),
    [
        ("a house made of glass and a car made of wood", ["a house made of glass", "a car made of wood"]),
        ("a ring of stones and a bench of wood", ["a ring of stones", "a bench of wood"]),
        ("a bottle of water next to a plate", ["a bottle of water", "a plate"]),
    ],
)
def test_what_a_thing_is_made_of_is_no_place(prompt: str, from_left: list[str]) -> None:
    assert columns(prompt) == from_left


def test_many_things_stay_together() -> None:
    assert columns("twenty red apples and a bowl") == ["twenty red apples", "a bowl"]
    made = RulePlanner().plan(", ".join(f"a {letter}{letter}" for letter in "bcdfghjklmnpqrstvw"))
    assert len(made.plan.regions) == 16
    assert made.reasoning == "no room is left for a vv, a ww"
    together = plan("six red cars, six blue cars and six green cars").regions
    assert [region.prompt for region in together] == ["six red cars", "six blue cars", "six green cars"]


def test_things_are_planned_around_what_is_locked() -> None:
    locked = Region(id="sun", prompt="a red sun", box=RegionBox(0, 0, 1, 0.4))
    made = RulePlanner().plan("a red sun above a barn and a tent", [locked]).plan
    assert made.regions[0] == locked
    assert {region.id: region.box.as_tuple() for region in made.regions[1:]} == {
        "barn": (0, 0.4, 0.5, 1),
        "tent": (0.5, 0.4, 1, 1),
    }
    everything = Region(id="all", prompt="a red sun", box=RegionBox(0, 0, 1, 1))
    assert RulePlanner().plan("a barn and a tent", [everything]).plan.regions == (everything,)


def name(thing: SeenObject) -> str:
    words = f"{thing.colour or ''} {NOUNS.get(thing.kind, (thing.kind, ''))[0]}".strip()
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@pytest.mark.parametrize("y", [0, -150, 150])
def test_captions_of_scapes_windows_give_a_region_for_each_thing(y: int) -> None:
    for seed in range(30):
        world = World(seed)
        facts = world.facts(seed * 97, y)
        truth = Counter(map(name, facts.objects))
        found = Counter(region.thing for region in plan(local_caption(facts)).regions if region.thing)
        assert found == truth, local_caption(facts)
        for caption in annotate(facts, seed):
            found = Counter(region.thing for region in plan(caption).regions if region.thing)
            assert found <= truth, caption
        wide = global_caption(world.facts(seed * 97, y, 512))
        named = {region.thing for region in plan(wide).regions if region.thing}
        assert named <= set(map(name, world.facts(seed * 97, y, 512).objects)), wide


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(
            st.sampled_from(
                re.findall(
                    r"to the left of|on the left|on its left|at the top|next to|there is|\S+",
                    "a the two red blue barn barns cat lake sky to the left of right of above below between and "
                    "with on its left it them on the left at the top in on next to who . : ; , is "
                    "there is of nothing 12 underground",
                )
            ),
            max_size=25,
        ).map(" ".join),
    )
)
def test_any_prompt_with_a_word_has_a_plan(prompt: str) -> None:
    if any(map(str.isalnum, prompt)):
        made = RulePlanner().plan(prompt).plan
        assert made.base_prompt == prompt
        assert RulePlanner().plan(prompt).plan == made


def test_a_prompt_of_any_length_is_planned_at_once() -> None:
    for prompt in ("is " * 50_000, "a cat, " * 10_000, "between " * 20_000, "x" * 100_000, "with " * 20_000):
        assert len(RulePlanner().plan(prompt).plan.regions) <= 16


def test_identity_depends_on_the_settings() -> None:
    assert RulePlanner().identity() == RulePlanner().identity()
    assert RulePlanner().identity() != RulePlanner(max_split=2).identity()
    with pytest.raises(ValueError, match=r"max_split .*0"):
        RulePlanner(max_split=0)


def test_each_thing_stands_in_its_own_place() -> None:
    plan = RulePlanner().plan("a yellow tent in the desert and two red barns on the grass of a meadow").plan
    assert [region.place for region in plan.regions] == ["the desert", "the grass of a meadow", "the grass of a meadow"]
    plan = RulePlanner().plan("a yellow balloon in the open sky, a red flag in the snow and a boat on a lake").plan
    assert [region.place for region in plan.regions] == ["the open sky", "the snow", "a lake"]


def test_the_middle_of_things_without_a_side_is_between_them() -> None:
    plan = RulePlanner().plan("a fossil in the middle, between a crystal and a boulder").plan
    boxes = {region.thing: region.box for region in plan.regions}
    assert boxes["a crystal"].x0 == 0
    assert boxes["a crystal"].x1 == boxes["a fossil"].x0
    assert boxes["a boulder"].x1 == 1


def test_each_region_is_told_of_the_scene() -> None:
    prompt = "a red barn left of a blue tent, at dusk under a cloudy sky with mountains behind"
    regions = RulePlanner().plan(prompt).plan.regions
    assert [region.prompt for region in regions] == [
        "a red barn at dusk with mountains",
        "a blue tent at dusk with mountains",
    ]
    assert [region.thing for region in regions] == ["a red barn", "a blue tent"]
    regions = RulePlanner(with_scene=False).plan(prompt).plan.regions
    assert [region.prompt for region in regions] == ["a red barn", "a blue tent"]


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a house with mountains in the background", ["a house with mountains"]),
        ("a red barn with no mountains", ["a red barn with no mountains"]),
        ("a barn with mountains behind it and a tent", ["a barn with mountains", "a tent with mountains"]),
        ("a lake with mountains and a barn", ["a barn on a lake with mountains"]),
        ("a desert by day on the left and a forest at night on the right", ["a desert by day", "a forest at night"]),
        ("a barn by day, a tent and a car at night", ["a barn by day", "a tent at night", "a car at night"]),
        ("At night a blue tent left of a red barn", ["a blue tent At night", "a red barn At night"]),
        ("at dusk, a barn and a tent", ["a barn at dusk", "a tent at dusk"]),
    ],
)
def test_a_region_is_told_of_the_scene_once_and_of_its_own_time(prompt: str, prompts: list[str]) -> None:
    assert [region.prompt for region in RulePlanner().plan(prompt).plan.regions] == prompts


def test_what_is_above_something_does_not_stand_in_its_place() -> None:
    regions = RulePlanner().plan("a balloon above a red barn to the left of a tent, in a meadow").plan.regions
    assert [region.prompt for region in regions] == ["a balloon", "a red barn in a meadow", "a tent in a meadow"]
