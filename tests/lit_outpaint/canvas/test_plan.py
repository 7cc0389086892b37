import pytest

from lit_outpaint.canvas.geometry import Box, anchor_window, next_window
from lit_outpaint.canvas.plan import Plan, parse_steps, stride_of


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = parse_steps("right:8, left:4,up")
    assert plan == Plan((("right", 8), ("left", 4), ("up", 1)))
    assert parse_steps(str(plan)) == plan
    assert len(plan) == len(list(plan)) == 13
    assert list(plan)[7:9] == ["right", "left"]


@pytest.mark.parametrize("text", ["right:0", "right:-2", "right:two", "right:", "right:1.5"])
def test_steps_that_are_no_positive_number_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="positive whole number for each direction, as in right:8"):
        parse_steps(text)


@pytest.mark.parametrize("text", ["", "north:3", "right:3,", "Right:2"])
def test_an_unknown_direction_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a direction must be one of left, right, up, down"):
        parse_steps(text)


def test_the_extent_is_what_the_steps_reach() -> None:
    image, plan = Box(0, 0, 150, 70), parse_steps("right:3,up:2,left:1,down:4,right:2")
    anchor, box = anchor_window(image, 64), image
    for direction in plan:
        box = box.union(next_window(box, direction, 64, 24, anchor)[1])
    assert plan.extent(image, 24, 64) == box


def test_window_and_overlap_must_be_whole_latent_cells() -> None:
    assert stride_of(128, 64) == 64
    with pytest.raises(ValueError, match="overlap_px must be a multiple of 8, got 60; try 64"):
        stride_of(128, 60)
    with pytest.raises(ValueError, match="overlap_px must lie between 8 and 120, got 128"):
        stride_of(128, 128)
