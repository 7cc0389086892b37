import numpy as np
import pytest

from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.regions import Region, RegionPlan
from lit_outpaint.planning.shown import draw_plan, plan_table

PLAN = RegionPlan.from_grid("a sun above a barn and a tent", "1;1,1,1", ["a red sun", "a barn", "a tent " * 60])


def test_the_table_has_a_line_for_each_region() -> None:
    base, _, *rows = plan_table(PLAN).splitlines()
    assert PLAN.base_prompt in base
    assert [row.split()[0] for row in rows] == [region.id for region in PLAN.regions]
    assert "50 .. 100 %" in rows[2]
    assert "no regions" in plan_table(RegionPlan(base_prompt="a lake"))


def test_the_picture_shows_each_region_in_its_place() -> None:
    pixels = np.asarray(draw_plan(PLAN))
    side = pixels.shape[1] - 32
    corners = [(0.25, 0.45), (0.25, 0.95), (0.75, 0.97)]
    colours = {tuple(pixels[16 + int(y * side), 16 + int(x * side)]) for x, y in corners}
    assert len(colours) == 3


def test_prompts_without_room_are_listed_below() -> None:
    def height(prompt: str) -> int:
        boxes = [(i * 10, i * 10 + 10) for i in range(40)]
        regions = [Region(id=f"r{x}", prompt=prompt, box=RegionBox(x, 0, to, 100)) for x, to in boxes]
        return draw_plan(RegionPlan(base_prompt="a strip", regions=tuple(regions), unit="px")).height

    assert height("a lighthouse by the sea") > height("x")


def test_a_layout_is_drawn_in_its_own_shape() -> None:
    regions = tuple(
        Region(id=f"r{i}", prompt=f"thing {i}", box=RegionBox(i * 100 - 300, 0, i * 100 - 200, 128)) for i in range(20)
    )
    picture = draw_plan(RegionPlan(base_prompt="a strip", regions=regions, unit="px"))
    assert picture.width > 3 * picture.height
    many = tuple(Region(id=f"r{i}", prompt="x", box=RegionBox(i, 0, i + 1, 1)) for i in range(2001))
    with pytest.raises(ValueError, match=r"2000 .*2001"):
        draw_plan(RegionPlan(base_prompt="a strip", regions=many, unit="px"))
