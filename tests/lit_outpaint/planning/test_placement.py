import pytest

from lit_outpaint.planning.placement import BOUND, FREE, Placement, placements
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.planning.rules import RulePlanner

ACROSS, DOWN = frozenset({"across"}), frozenset({"down"})


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a balloon at the top, a barn and a tent", {"barn": FREE, "tent": FREE, "balloon": DOWN}),
        ("a red barn to the left of a blue tent and a car", {"red barn": ACROSS, "blue tent": ACROSS, "car": FREE}),
        ("a house between two trees", {"house": ACROSS, "tree": ACROSS}),
        ("a red balloon above a barn", {"red balloon": DOWN, "barn": DOWN}),
        ("a red barn beside a blue tent", {"red barn": FREE, "blue tent": FREE}),
        ("a red barn on the left and a blue barn", {"red barn": ACROSS, "blue barn": FREE}),
    ],
)
def test_a_thing_is_bound_along_the_axes_that_the_prompt_speaks_of(prompt: str, expected: dict[str, Placement]) -> None:
    plan = RulePlanner().plan(prompt).plan
    bound = placements(plan)
    assert bound.keys() == {region.id for region in plan.regions}
    for region in plan.regions:
        named = next(axes for thing, axes in expected.items() if thing in region.prompt)
        assert (region.prompt, bound[region.id]) == (region.prompt, named)


def test_the_boxes_of_a_language_model_bind_only_what_the_prompt_places() -> None:
    plan = RegionPlan.from_grid("a balloon at the top and a barn", "1,1", ["a striped balloon", "a weathered barn"])
    assert list(placements(plan).values()) == [DOWN, FREE]
    first = plan.regions[0].id
    assert placements(plan, own={first})[first] == BOUND
