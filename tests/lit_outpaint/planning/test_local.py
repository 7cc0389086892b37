import pytest

from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.layout import plan_layout
from lit_outpaint.planning.local import local_caption, scene_caption
from lit_outpaint.planning.regions import Region, RegionPlan


@pytest.mark.parametrize(
    ("things", "caption"),
    [
        (["a red barn"] * 3 + ["a tent"], "a meadow with three red barns and a tent"),
        (["a pair of stars"] * 2 + ["an igloo"] * 2, "a meadow with two pairs of stars and two igloos"),
        (["a cactus"] * 4, "a meadow with four cactuses"),
        (["some apples"] * 2 + ["a bowl"] * 2, "a meadow with some apples and two bowls"),
    ],
)
def test_many_things_are_counted_in_the_plural(things: list[str], caption: str) -> None:
    regions = [
        Region(id=f"r{n}", prompt=thing, thing=thing, place="a meadow", box=RegionBox(32 * n, 0, 32 * n + 32, 128))
        for n, thing in enumerate(things)
    ]
    plan = RegionPlan(base_prompt="a meadow", regions=tuple(regions), unit="px")
    assert local_caption(plan, RegionBox(0, 0, 128, 128)) == caption


def test_windows_of_one_level_are_told_of_the_scene_without_its_things() -> None:
    caption = "a wide view at dusk under a clear sky: a lake with a boat, and a town with a car, with a balloon high up"
    whole = RegionBox(0, -256, 512, 384)
    plan = plan_layout(caption, whole, 128, image_box=RegionBox(0, 0, 128, 128))

    def told(y: int, caption: str = caption) -> str:
        return scene_caption(caption, plan, RegionBox(256, y, 384, y + 128))

    assert told(0) == "a wide view at dusk under a clear sky: a lake on the left and a town on the right"
    of_image = scene_caption(caption, plan, RegionBox(0, 0, 128, 128))
    assert of_image == "a wide view at dusk under a clear sky: a lake"
    assert told(-256) == "a wide view at dusk under a clear sky: the open sky"
    assert told(-64) == caption, "a window of two levels"
    assert told(0, "a lake with a boat") == "a lake with a boat", "no weather"
