from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.grid import Grid, Row
from lit_outpaint.planning.regions import Region, RegionPlan, region_ids


def plan_of(*boxes: tuple[float, ...], unit: str = "share", period_px: int | None = None) -> RegionPlan:
    regions = tuple(Region(id=f"r{i}", prompt=f"thing {i}", box=RegionBox(*box)) for i, box in enumerate(boxes))
    return RegionPlan(base_prompt="a meadow", regions=regions, unit=unit, period_px=period_px)  # type: ignore[arg-type]


def test_a_grid_gives_a_region_for_each_cell_in_order() -> None:
    plan = RegionPlan.from_grid("a meadow", "1;1,1,1", ["a sky", "a barn", "a barn"], base_ratio=0.3)
    assert [region.id for region in plan.regions] == ["sky", "barn", "barn-2"]
    assert [region.box.as_tuple() for region in plan.regions] == [(0, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)]
    assert {region.base_ratio for region in plan.regions} == {0.3}


def test_a_grid_with_another_number_of_prompts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1;1,1,1 .* 3 .*got 2"):
        RegionPlan.from_grid("a meadow", "1;1,1,1", ["a sky", "a barn"])


@pytest.mark.parametrize(
    ("boxes", "match"),
    [
        ([(0, 0, 0.6, 1), (0.5, 0, 1, 1)], "r1 .*overlap"),
        ([(0, 0, 1, 1), (0.4, 0.4, 0.5, 0.5)], "r1 .*overlap"),
        ([(0, 0, 1.5, 1)], r"\[0, 1\]"),
        ([(-0.1, 0, 0.5, 1)], r"\[0, 1\]"),
        ([(0.5, 0, 0.5, 1)], "x0 < x1"),
        ([(0.5, 0, float("nan"), 1)], "finite"),
        ([(0, 0, float("inf"), 1)], "finite"),
    ],
)
def test_boxes_that_overlap_or_lie_outside_are_refused(boxes: list[tuple[float, ...]], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        plan_of(*boxes)


def test_words_ids_and_ratios_are_checked() -> None:
    box = RegionBox(0, 0, 1, 1)
    with pytest.raises(ValueError, match="prompt"):
        Region(id="a", prompt=" ... ", box=box)
    with pytest.raises(ValueError, match="id"):
        Region(id="a b", prompt="a barn", box=box)
    with pytest.raises(ValueError, match="base_ratio"):
        Region(id="a", prompt="a barn", box=box, base_ratio=1.2)
    with pytest.raises(ValueError, match="base_prompt"):
        RegionPlan(base_prompt="")
    twice = (Region(id="a", prompt="x", box=RegionBox(0, 0, 0.5, 1)), Region(id="a", prompt="x", box=box))
    with pytest.raises(ValueError, match="'a' twice"):
        RegionPlan(base_prompt="x", regions=twice)


def test_a_window_meets_what_lies_in_it_cut_at_its_edges() -> None:
    plan = plan_of((0, 0, 100, 128), (100, 0, 200, 128), (200, 0, 300, 128), unit="px")
    met = plan.over(Box(50, 0, 178, 128))
    assert [region.id for region in met.regions] == ["r0", "r1"]
    assert [region.box.as_tuple() for region in met.regions] == [(0, 0, 50 / 128, 1), (50 / 128, 0, 1, 1)]
    assert met.unit == "share"
    assert met.base_prompt == plan.base_prompt


def test_a_sliver_is_left_out_where_a_share_is_asked_for() -> None:
    plan = plan_of((0, 0, 100, 128), (100, 0, 2000, 128), unit="px")
    met = plan.over(Box(80, 0, 208, 128), min_share=0.5)
    assert [region.id for region in met.regions] == ["r1"], (
        "a fifth of r0 is seen; r1 is seldom seen whole but fills it"
    )


def test_the_window_of_the_whole_picture_gives_back_the_plan() -> None:
    plan = RegionPlan.from_grid("a meadow", "1;1,1,1;2,1,2", ["a", "b", "c", "d", "e"])
    window = Box(-64, 32, 193, 99)
    back = plan.placed(window).over(window)
    for mine, theirs in zip(plan.regions, back.regions, strict=True):
        assert mine.box.as_tuple() == pytest.approx(theirs.box.as_tuple(), abs=1e-12)
        assert mine.box.cell(16, 16) == theirs.box.cell(16, 16)


def test_a_plan_in_shares_has_no_place_on_a_canvas() -> None:
    plan = plan_of((0, 0, 1, 1))
    with pytest.raises(ValueError, match="placed"):
        plan.over(Box(0, 0, 8, 8))
    with pytest.raises(ValueError, match="already"):
        plan.placed(Box(0, 0, 8, 8)).placed(Box(0, 0, 8, 8))


def test_in_a_ring_the_plan_comes_again() -> None:
    plan = plan_of((0, 0, 100, 128), (100, 0, 320, 128), unit="px", period_px=320)
    over_the_end = plan.over(Box(256, 0, 384, 128))
    assert {region.id: region.box.as_tuple() for region in over_the_end.regions} == {
        "r0": (0.5, 0, 1, 1),
        "r1": (0, 0, 0.5, 1),
    }
    assert plan.over(Box(256 - 640, 0, 384 - 640, 128)) == over_the_end


@settings(deadline=None)
@given(
    st.lists(st.floats(0.1, 5), min_size=1, max_size=6),
    st.integers(-50, 50),
    st.integers(1, 60),
    st.integers(1, 40),
)
def test_windows_of_a_tiled_canvas_are_tiled(widths: list[float], x: int, width: int, side: int) -> None:
    row = Grid((Row(widths=tuple(widths)),))
    plan = RegionPlan.from_grid("scene", row, ["thing"] * len(widths)).placed(RegionBox(-50, 0, 120, 30))
    cells = [region.box.cell(1, side) for region in plan.over(RegionBox(x, 0, x + width, 30)).regions]
    assert cells[0].x0 == 0
    assert cells[-1].x1 == side
    assert all(one.x1 == other.x0 for one, other in pairwise(cells))


def test_ids_are_readable_and_all_different() -> None:
    assert region_ids(["a red barn", "A red barn!", "the barn", "\u2014"]) == [
        "red-barn",
        "red-barn-2",
        "barn",
        "region",
    ]
    assert region_ids(["a barn"], taken=["barn", "barn-2"]) == ["barn-3"]
