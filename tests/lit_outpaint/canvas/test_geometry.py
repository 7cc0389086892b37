import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_outpaint.canvas.geometry import (
    DIRECTIONS,
    GROWTHS,
    Box,
    Direction,
    Growth,
    anchor_window,
    check_direction,
    growth_px,
    known_box,
    new_box,
    next_window,
)
from lit_outpaint.canvas.masks import box_mask, outpaint_mask

sides = st.integers(2, 64).map(lambda cells: 8 * cells)
ratios = st.floats(0.01, 0.99)
directions = st.sampled_from(DIRECTIONS)
boxes = st.tuples(st.integers(-999, 999), st.integers(-999, 999), st.integers(64, 300), st.integers(64, 300)).map(
    lambda t: Box(t[0], t[1], t[0] + t[2], t[1] + t[3])
)


@pytest.mark.parametrize(
    ("direction", "corner_of_ones"),
    [("left", (0, 0)), ("right", (0, 63)), ("up", (0, 0)), ("down", (63, 0))],
)
def test_the_mask_is_one_on_the_side_that_grows(direction: Direction, corner_of_ones: tuple[int, int]) -> None:
    mask = outpaint_mask(direction, 0.5, 64, 64)
    opposite = {"left": (0, 63), "right": (0, 0), "up": (63, 0), "down": (0, 0)}[direction]
    assert mask[0][corner_of_ones] == 1
    assert mask[0][opposite] == 0


@given(directions, ratios, sides, sides)
def test_the_mask_edge_lies_on_a_latent_cell_and_both_parts_exist(
    direction: Direction, ratio: float, height: int, width: int
) -> None:
    mask = outpaint_mask(direction, ratio, height, width)
    cells = mask[:, ::8, ::8]
    assert torch.equal(mask, cells.repeat_interleave(8, 1).repeat_interleave(8, 2))
    assert 0 < mask.mean() < 1
    side = width if direction in ("left", "right") else height
    assert growth_px(direction, ratio, height, width) == round(mask.mean().item() * side)


@given(directions, ratios, sides, sides)
def test_the_known_box_is_where_the_mask_is_zero(direction: Direction, ratio: float, height: int, width: int) -> None:
    mask, known = outpaint_mask(direction, ratio, height, width), known_box(direction, ratio, height, width)
    assert mask[:, known.y0 : known.y1, known.x0 : known.x1].sum() == 0
    assert (mask == 0).sum() == known.width * known.height


@given(directions, st.integers(1, 7))
def test_the_mask_of_the_new_box_is_the_mask_of_the_side(direction: Direction, cells: int) -> None:
    mask = box_mask(new_box(direction, 8 * cells, 64), 64, 64)
    assert torch.equal(mask, outpaint_mask(direction, cells / 8, 64, 64))


@pytest.mark.parametrize("corner", [growth for growth in GROWTHS if growth not in DIRECTIONS])
def test_a_corner_is_new_where_both_its_sides_are(corner: Growth) -> None:
    sides = [outpaint_mask(side, 0.25, 64, 64) for side in corner.split("+")]  # type: ignore[arg-type]
    mask = outpaint_mask(corner, 0.25, 64, 64)
    assert torch.equal(mask, sides[0] * sides[1])
    assert mask.sum() == 16 * 16


@given(boxes, directions, st.integers(1, 63))
def test_a_window_is_known_part_plus_new_strip(canvas: Box, direction: Direction, stride_px: int) -> None:
    window, strip = next_window(canvas, direction, 64, stride_px)
    assert (window.width, window.height) == (64, 64)
    assert canvas.intersection(strip) is None
    known = canvas.intersection(window)
    assert known is not None
    assert known.width * known.height + strip.width * strip.height == 64 * 64
    assert known.union(strip) == window


@given(boxes, directions)
def test_steps_join_without_gap_or_overlap(canvas: Box, direction: Direction) -> None:
    anchor = anchor_window(canvas, 64)
    _, first = next_window(canvas, direction, 64, 24, anchor)
    _, second = next_window(canvas.union(first), direction, 64, 24, anchor)
    assert first.intersection(second) is None
    joined = first.union(second)
    assert joined.width * joined.height == 2 * first.width * first.height


def test_growing_left_and_up_reaches_negative_coordinates() -> None:
    canvas = Box(0, 0, 64, 64)
    assert next_window(canvas, "left", 64, 32)[1] == Box(-32, 0, 0, 64)
    assert next_window(canvas, "up", 64, 32)[0] == Box(0, -32, 64, 32)


@given(boxes, boxes)
def test_intersection_lies_in_both_and_union_holds_both(one: Box, other: Box) -> None:
    common = one.intersection(other)
    assert common == other.intersection(one)
    assert common is None or (one.contains(common) and other.contains(common))
    assert one.union(other).contains(one)
    assert one.union(other).contains(other)


def test_a_wrong_direction_ratio_stride_or_image_is_refused_with_its_remedy() -> None:
    with pytest.raises(ValueError, match="one of left, right, up, down, got 'north'"):
        check_direction("north")
    with pytest.raises(ValueError, match=r"between 0 and 1, both excluded, got 1\.0"):
        outpaint_mask("left", 1.0, 64, 64)
    with pytest.raises(ValueError, match="multiple of 8"):
        outpaint_mask("left", 0.5, 64, 60)
    with pytest.raises(ValueError, match="stride must lie between 1 and 63 px, got 64"):
        next_window(Box(0, 0, 64, 64), "left", 64, 64)
    with pytest.raises(ValueError, match="at least one window, 64 x 64 px, got 63 x 80"):
        anchor_window(Box(0, 0, 63, 80), 64)
    with pytest.raises(ValueError, match="x0 < x1"):
        Box(3, 0, 3, 1)
