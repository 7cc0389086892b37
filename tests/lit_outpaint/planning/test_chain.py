import random
import tracemalloc
from dataclasses import replace

import pytest

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.chain import MAX_PIECES, ChainLayout, _piece
from lit_outpaint.planning.local import local_caption

CAPTION = (
    "a wide view at dusk: a lake with a red lighthouse, a desert with a cactus, and a snowfield with a blue flag "
    "and an igloo, with a balloon in the open sky and a fossil underground"
)
CHAIN = ChainLayout(caption=CAPTION, image_box=RegionBox(0, 0, 128, 128), window_px=128)
WINDOWS = [
    *(Box(x, 0, x + 128, 128) for x in range(-1920, 1920, 192)),
    *(Box(0, y, 128, y + 128) for y in range(-1280, 1280, 192)),
]


def test_captions_do_not_depend_on_the_order_of_windows() -> None:
    in_order = {window: local_caption(CHAIN, window) for window in WINDOWS}
    _piece.cache_clear()
    shuffled = random.Random(0).sample(WINDOWS, len(WINDOWS))
    assert {window: local_caption(CHAIN, window) for window in shuffled} == in_order


def test_a_chain_passes_through_its_places_in_order_on_both_sides() -> None:
    surface = CHAIN.around(Box(-1152, 0, 128 + 1152, 128)).regions
    in_order = sorted(surface, key=lambda region: region.box.x0)
    places = [
        place
        for place, before in zip(in_order, [None, *in_order[:-1]], strict=True)
        if before is None or before.place != place.place
    ]
    assert [region.place for region in places] == [
        "a lake", "a desert", "a snowfield", "a lake", "a desert", "a snowfield", "a lake",
    ]  # fmt: skip


def test_the_pieces_tile_the_chain_and_their_ids_differ() -> None:
    for frame in (Box(-5000, 0, 5000, 128), Box(0, -3000, 128, 0), Box(0, 128, 128, 3000)):
        plan = CHAIN.around(frame)
        covered = sum(
            region.box.intersection(RegionBox.of(frame)).area
            / (0.6 if region.thing and region.level == "surface" else 1)
            for region in plan.regions
        )
        assert abs(covered - frame.area) < 1e-6 * frame.area


def test_above_lies_sky_and_below_lies_ground() -> None:
    assert "sky" in local_caption(CHAIN, Box(0, -640, 128, -512))
    assert "earth" in local_caption(CHAIN, Box(0, 512, 128, 640))
    balloons = [region for region in CHAIN.around(Box(0, -4000, 128, 0)).regions if region.thing == "a balloon"]
    assert len(balloons) > 3


def walk(steps: int) -> None:
    for step in range(steps):
        local_caption(CHAIN, Box(64 * step, 0, 64 * step + 128, 128))


def test_a_chain_keeps_few_pieces_at_hand() -> None:
    _piece.cache_clear()
    walk(40)
    assert 0 < _piece.cache_info().currsize <= 4
    assert _piece.cache_info().maxsize == MAX_PIECES


def test_the_image_shows_what_its_caption_says() -> None:
    told = replace(CHAIN, image_caption="a lake")
    assert local_caption(told, Box(0, 0, 128, 128)) == "an empty view of a lake"
    assert local_caption(told, Box(128, 0, 256, 128)) == local_caption(CHAIN, Box(128, 0, 256, 128))
    in_the_desert = replace(CHAIN, image_caption="a desert with a cactus")
    assert local_caption(in_the_desert, Box(0, 0, 128, 128)).startswith("a desert with a cactus")
    assert "snowfield" in local_caption(in_the_desert, Box(128, 0, 256, 128))


@pytest.mark.slow
def test_a_chain_of_1000_steps_is_planned_in_bounded_memory() -> None:
    _piece.cache_clear()
    tracemalloc.start()
    walk(1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
