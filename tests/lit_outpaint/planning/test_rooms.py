import pytest

from lit_outpaint.planning.arrange import Item
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.regions import Region
from lit_outpaint.planning.rooms import arrange_around
from lit_outpaint.planning.rules import RulePlanner

Edges = tuple[float, float, float, float]


def plan(prompt: str, *boxes: Edges) -> tuple[dict[str, Edges], str]:
    """Boxes by name around red barns that stand where they are, and what the planner says."""
    locked = [Region(id=f"kept-{n}", prompt="a red barn", box=RegionBox(*box)) for n, box in enumerate(boxes)]
    made = RulePlanner().plan(prompt, locked)
    assert made.plan.regions[: len(locked)] == tuple(locked)
    return {region.id: region.box.as_tuple() for region in made.plan.regions[len(locked) :]}, made.reasoning


@pytest.mark.parametrize(
    ("relation", "kept", "tent"),
    [
        ("to the right of", (0.4, 0, 0.6, 1), (0.6, 0, 1, 1)),
        ("to the left of", (0.4, 0, 0.6, 1), (0, 0, 0.4, 1)),
        ("to the right of", (0.5, 0, 0.75, 1), (0.75, 0, 1, 1)),
        ("above", (0, 0.25, 1, 0.5), (0, 0, 1, 0.25)),
        ("below", (0, 0.5, 1, 0.75), (0, 0.75, 1, 1)),
        ("next to", (0.5, 0, 0.75, 1), (0, 0, 0.5, 1)),
    ],
)
def test_a_thing_stands_on_its_side_of_what_is_kept(relation: str, kept: Edges, tent: Edges) -> None:
    assert plan(f"a blue tent {relation} a red barn", kept) == ({"blue-tent": tent}, "")


def test_relations_reach_through_others() -> None:
    boxes, _ = plan("a cat to the left of a dog, the dog is to the left of a red barn", (0.5, 0, 0.6, 1))
    assert boxes == {"cat": (0, 0, 0.25, 1), "dog": (0.25, 0, 0.5, 1)}
    boxes, _ = plan("a balloon above a tent to the right of a red barn", (0.25, 0, 0.5, 1))
    assert boxes == {"balloon": (0.5, 0, 1, 0.5), "tent": (0.5, 0.5, 1, 1)}


def test_a_thing_between_what_is_kept_stands_there() -> None:
    boxes, _ = plan("a tent between two red barns", (0, 0, 0.25, 1), (0.5, 0, 1, 1))
    assert boxes == {"tent": (0.25, 0, 0.5, 1)}


def test_things_of_no_side_have_what_is_left() -> None:
    boxes, _ = plan("a tent to the right of a red barn, a cat and a dog", (0.5, 0, 0.75, 1))
    assert boxes == {"tent": (0.75, 0, 1, 1), "cat": (0, 0, 0.25, 1), "dog": (0.25, 0, 0.5, 1)}


def test_of_counted_things_those_that_are_not_shown_are_planned() -> None:
    boxes, _ = plan("three red barns and a tent", (0, 0, 0.25, 1))
    assert boxes == {"red-barn": (0.25, 0, 0.5, 1), "red-barn-2": (0.5, 0, 0.75, 1), "tent": (0.75, 0, 1, 1)}
    assert plan("a red barn", (0, 0, 0.25, 1)) == ({}, "")
    assert plan("two red barns", (0, 0, 0.25, 1), (0.5, 0, 0.75, 1)) == ({}, "")
    locked = [Region(id="barns", prompt="red barns", box=RegionBox(0, 0, 0.5, 1))]
    assert RulePlanner().plan("three red barns", locked).plan.regions == tuple(locked)


def test_where_a_side_has_no_room_the_planner_says_so() -> None:
    boxes, reasoning = plan("a blue tent to the right of a red barn", (0.5, 0, 1, 1))
    assert boxes == {"blue-tent": (0, 0, 0.5, 1)}
    assert reasoning == "no room is left on the side of a blue tent"


def test_a_room_is_shared_rather_than_cut_into_slivers() -> None:
    items = [Item(), Item()]
    boxes, astray = arrange_around(items, [(2, 0)], [], {2: RegionBox(0, 0, 0.5, 1)})
    assert boxes == [RegionBox(0.5, 0, 0.75, 1), RegionBox(0.75, 0, 1, 1)]
    assert astray == []
