from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.scapes.captions import global_caption
from data_prep.scapes.world import World
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.files import parse_plan_text, plan_text
from lit_outpaint.planning.layout import plan_layout
from lit_outpaint.planning.local import local_caption
from lit_outpaint.planning.places import Place, read_scenery, with_sky_on_the_surface
from lit_outpaint.planning.regions import RegionPlan

WINDOW = 128
IMAGE = Box(0, 0, WINDOW, WINDOW)
CAPTION = (
    "a wide view by day under a clear sky with mountains: a lake with a red lighthouse, a desert with a cactus and two "
    "blue tents, and a snowfield with a blue flag, with three balloons in the open sky and a fossil underground"
)
TRUTH = Counter(
    {"a red lighthouse": 1, "a cactus": 1, "a blue tent": 2, "a blue flag": 1, "a balloon": 3, "a fossil": 1}
)


def things(plan: RegionPlan) -> Counter[str]:
    return Counter(region.thing for region in plan.regions if region.thing)


def test_a_caption_is_read_as_places_sky_and_ground() -> None:
    scenery = read_scenery(CAPTION)
    assert scenery.surface == (
        Place("a lake", ("a red lighthouse",)),
        Place("a desert", ("a cactus", "a blue tent", "a blue tent")),
        Place("a snowfield", ("a blue flag",)),
    )
    assert scenery.sky == Place("the open sky", ("a balloon", "a balloon", "a balloon"))
    assert scenery.ground == Place("layers of earth", ("a fossil",))
    assert read_scenery("two red barns in a meadow at dusk").surface == (
        Place("a meadow", ("a red barn", "a red barn")),
    )
    assert read_scenery("a red barn in a meadow and two tents in a desert").surface == (
        Place("a meadow", ("a red barn",)),
        Place("a desert", ("a tent", "a tent")),
    )
    assert read_scenery("a red barn and a tent").surface == (Place("", ("a red barn", "a tent")),)
    assert read_scenery("a quiet view").surface == (Place("", ()),)
    assert read_scenery("a street without cars and a park with a fountain").surface == (
        Place("a street", ()),
        Place("a park", ("a fountain",)),
    )
    assert read_scenery("a bottle of water in a kitchen").surface == (Place("a kitchen", ("a bottle of water",)),)


@pytest.mark.parametrize(
    "canvas",
    [Box(0, 0, 1536, 384), Box(-704, -256, 832, 512), Box(-1408, -128, 128, 256), Box(-256, -128, 1024, 256)],
)
def test_each_thing_is_owned_by_one_place(canvas: Box) -> None:
    image = Box(0, canvas.y0 + 128, 128, canvas.y0 + 256)
    plan = plan_layout(CAPTION, canvas, WINDOW, image_box=image)
    assert things(plan) == TRUTH
    levels = {region.thing: region.level for region in plan.regions if region.thing}
    assert levels["a balloon"] == "sky"
    assert levels["a fossil"] == "ground"
    inside = RegionBox.of(canvas)
    assert all(region.box.intersection(inside) == region.box for region in plan.regions)
    # A thing keeps to what one step adds.
    assert all((region.box.x0 % 64, region.box.width) == (0, 64) for region in plan.regions if region.thing)


def test_places_stand_in_the_order_of_the_caption_beginning_at_the_image() -> None:
    plan = plan_layout(CAPTION, Box(0, 0, 1536, 128), WINDOW, image_box=IMAGE)
    surface = sorted((region for region in plan.regions), key=lambda region: region.box.x0)
    assert list(dict.fromkeys(region.place for region in surface)) == ["a lake", "a desert", "a snowfield"]
    assert [region.thing for region in plan.over(IMAGE).regions if region.thing] == ["a red lighthouse"]
    to_the_left = plan_layout(CAPTION, Box(-1408, 0, 128, 128), WINDOW, image_box=IMAGE)
    surface = sorted((region for region in to_the_left.regions), key=lambda region: region.box.x0)
    assert list(dict.fromkeys(region.place for region in surface)) == ["a desert", "a snowfield", "a lake"]


def test_without_an_image_everything_is_laid_out() -> None:
    plan = plan_layout(CAPTION, Box(0, 0, 1536, 384), WINDOW)
    assert things(plan) == TRUTH
    assert {region.level for region in plan.regions if region.box.y0 >= 256} == {"ground"}


def test_what_the_image_shows_is_not_planned_again() -> None:
    shown = "a desert with a blue tent"
    plan = plan_layout(CAPTION, Box(-640, 0, 896, 128), WINDOW, image_box=IMAGE, image_caption=shown)
    assert things(plan)["a blue tent"] == 2
    assert [region.thing for region in plan.over(IMAGE).regions if region.thing] == ["a blue tent"]
    assert {region.place for region in plan.over(IMAGE).regions} == {"a desert"}


def test_a_strip_without_sky_and_ground_keeps_their_things() -> None:
    plan = plan_layout(CAPTION, Box(0, 0, 2048, 128), WINDOW, image_box=IMAGE)
    assert things(plan) == TRUTH
    assert {region.level for region in plan.regions} == {"surface"}


def test_a_long_canvas_passes_through_the_places_again() -> None:
    plan = plan_layout(CAPTION, Box(0, 0, 3 * 6144, 128), WINDOW, image_box=IMAGE)
    assert things(plan)["a red lighthouse"] == 3
    assert things(plan)["a blue tent"] == 6


def test_things_that_find_no_room_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="room for 12 things") as caught:
        plan_layout("twelve red barns in a meadow", Box(0, 0, 192, 128), WINDOW, image_box=IMAGE)
    assert len(str(caught.value).splitlines()) == 1
    assert sum(things(plan_layout("six red barns in a meadow", Box(0, 0, 192, 128), WINDOW)).values()) == 6


@pytest.mark.parametrize(
    ("caption", "image_at"),
    [
        # What the image leaves of its own place has room on the left alone.
        ("six red barns in a meadow and a blue tent in a desert", 576),
        # No cut between two places fits on both sides of the image.
        ("a lake, a meadow with three red barns and a snowfield with a blue flag", 64),
    ],
)
def test_things_are_divided_around_the_image_where_room_is_scarce(caption: str, image_at: int) -> None:
    image = Box(image_at, 0, image_at + WINDOW, WINDOW)
    width = 704 if image_at > 100 else 256
    plan = plan_layout(caption, Box(0, 0, width, WINDOW), WINDOW, image_box=image)
    assert sum(things(plan).values()) == sum(len(place.things) for place in read_scenery(caption).surface)


def test_every_window_of_a_rectangle_has_a_caption_of_what_it_shows() -> None:
    canvas = Box(-256, -128, 1024, 256)
    plan = plan_layout(CAPTION, canvas, WINDOW, image_box=IMAGE)
    said = Counter[str]()
    for y in range(canvas.y0, canvas.y1, 128):
        for x in range(canvas.x0, canvas.x1, 128):
            caption = local_caption(plan, Box(x, y, x + 128, y + 128))
            said.update(thing for thing in TRUTH for _ in range(caption.count(thing)))
            if y < 0:
                assert "sky" in caption
            elif y >= 128:
                assert "layers of earth" in caption
            else:
                assert any(place in caption for place in ("lake", "desert", "snowfield"))
    assert said == TRUTH, "windows that tile the canvas name each thing once"


def test_local_captions_name_places_and_positions() -> None:
    plan = plan_layout(CAPTION, Box(-256, -128, 1024, 256), WINDOW, image_box=IMAGE)
    assert local_caption(plan, IMAGE) == "a lake with a red lighthouse on the right"
    assert local_caption(plan, Box(128, 0, 256, 128)) == "an empty view of a lake"
    assert (
        local_caption(plan, Box(640, 0, 768, 128))
        == "a desert on the left and a snowfield on the right with a blue tent on the left"
    )
    assert local_caption(plan, Box(384, -128, 512, 0)) == "the open sky with a balloon on the left"
    assert local_caption(plan, Box(9000, 0, 9128, 128)) == CAPTION


def test_windows_of_a_ring_go_on_over_its_end() -> None:
    ring = plan_layout(CAPTION, Box(0, 0, 1536, 128), WINDOW, image_box=IMAGE, circumference_px=1536)
    over_the_end = local_caption(ring, Box(1472, 0, 1600, 128))
    assert over_the_end == local_caption(ring, Box(-64, 0, 64, 128))
    assert "a snowfield on the left and a lake on the right" in over_the_end


def test_a_layout_is_stored_as_it_is() -> None:
    plan = plan_layout(CAPTION, Box(0, 0, 1536, 128), WINDOW, image_box=IMAGE)
    assert parse_plan_text(plan_text(plan)) == plan


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500), st.integers(2, 30), st.integers(0, 3), st.integers(0, 3), st.integers(0, 29))
def test_any_scapes_caption_is_laid_out_on_any_rectangle(seed: int, wide: int, up: int, down: int, at: int) -> None:
    caption = global_caption(World(seed).facts(seed, 0, 512))
    x0 = -64 * min(at, wide - 2)
    canvas = Box(x0, -64 * up, x0 + 64 * wide, 128 + 64 * down)
    try:
        plan = plan_layout(caption, canvas, WINDOW, image_box=IMAGE)
    except ValueError:
        # A window has four slots at most; those of the image hold four things of the first place.
        surface = with_sky_on_the_surface(read_scenery(caption), sky=up > 0, ground=down > 0).surface
        beside = max(len(surface[0].things) - 4, 0) + sum(max(len(place.things), 1) for place in surface[1:])
        assert beside > 2 * (wide - 2), "there is room"
        return
    scenery = read_scenery(caption)
    named = Counter(thing for place in scenery.surface for thing in place.things)
    assert set(things(plan)) == {*named, *scenery.sky.things, *scenery.ground.things}
    assert all(things(plan)[thing] >= count for thing, count in named.items())
    for y in range(canvas.y0, canvas.y1 - 127, 192):
        for x in range(canvas.x0, canvas.x1 - 127, 192):
            assert local_caption(plan, Box(x, y, x + 128, y + 128))
