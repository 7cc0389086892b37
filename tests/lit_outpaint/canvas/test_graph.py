import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.canvas.geometry import Box, anchor_window, next_window
from lit_outpaint.canvas.graph import Graph, build_graph
from lit_outpaint.canvas.plan import Plan, Rectangle, Ring, Strips, parse_plan

WINDOW = 64
strides = st.integers(2, 7).map(lambda cells: 8 * cells)
free_sides = st.integers(WINDOW, 150)
cell_sides = st.integers(8, 18).map(lambda cells: 8 * cells)
directions = st.sampled_from(("left", "right", "up", "down"))
crosses = st.lists(st.builds(Strips, directions, st.integers(1, 4)), min_size=1, max_size=5).map(
    lambda parts: Plan(tuple(parts))
)
_few = settings(deadline=None, max_examples=25)
spans = st.sampled_from((None, WINDOW, 200))


def _image(width: int, height: int) -> Box:
    return Box(0, 0, width, height)


def _check(graph: Graph, image: Box) -> np.ndarray:
    """Every promise of a graph, on a raster: who drew each pixel (-1 the image, -2 nobody)."""
    frame = graph.box
    owner = np.full((frame.height, frame.width), -2)

    def part(box: Box) -> np.ndarray:
        inner = box.shift(-frame.x0, -frame.y0)
        return owner[inner.y0 : inner.y1, inner.x0 : inner.x1]

    part(image)[...] = -1
    assert graph.new_px().tolist() == [step.new.area for step in graph]
    for step in graph:
        assert (step.window.width, step.window.height) == (WINDOW, WINDOW)
        assert step.window.contains(step.new)
        assert (part(step.new) == -2).all(), "new pixels are new"
        part(step.new)[...] = step.index
        seen = {int(number) for _, place in graph.parts_of(step.window) for number in np.unique(part(place))}
        assert -2 not in seen, "a window is known around its new pixels"
        seen |= set(np.unique(part(step.view)).tolist())
        assert seen - {-1, step.index} == set(step.depends)
        assert step.view.intersection(step.new) is None
        assert step.level == 1 + max((graph[needed].level for needed in step.depends), default=0)
        offsets = step.new.shift(-step.window.x0, -step.window.y0).as_tuple()
        assert not any(offset % 8 for offset in offsets)
    return owner


@_few
@given(crosses, free_sides, free_sides, strides, spans)
def test_a_cross_is_what_the_steps_reach_one_by_one(
    plan: Plan, width: int, height: int, stride: int, span: int | None
) -> None:
    image = _image(width, height)
    graph = build_graph(plan, image, WINDOW, stride, span)
    _check(graph, image)
    anchor, box = anchor_window(image, WINDOW), image
    for step in graph:
        assert (step.window, step.new) == next_window(box, step.direction, WINDOW, stride, anchor)
        box = box.union(step.new)
    assert graph.box == box
    longest = max(sum(step.direction == side for step in graph) for side in ("left", "right", "up", "down"))
    assert graph.num_levels >= longest


@_few
@given(cell_sides, cell_sides, strides, st.integers(0, 12), st.integers(0, 12), spans)
def test_a_rectangle_is_filled_exactly_once(
    width: int, height: int, stride: int, more_x: int, more_y: int, span: int | None
) -> None:
    more_x, more_y = (8 * more if 8 * more >= stride else 0 for more in (more_x, more_y))
    if not more_x and not more_y:
        more_x = stride
    image = _image(width, height)
    graph = build_graph(Plan((Rectangle(width + more_x, height + more_y),)), image, WINDOW, stride, span)
    owner = _check(graph, image)
    assert owner.shape == (height + more_y, width + more_x)
    assert (owner > -2).all()
    right, left = graph.box.x1 - image.x1, image.x0 - graph.box.x0
    assert 0 <= right - left < 2 * stride


@_few
@given(free_sides, st.integers(1, 6).map(lambda cells: 8 * cells), st.integers(1, 9), st.integers(0, 3))
def test_a_ring_closes_on_known_pixels_at_both_sides(width: int, stride: int, count: int, left: int) -> None:
    image = _image(width, WINDOW)
    plan = Plan((Strips("left", left),) * bool(left) + (Ring(count),))
    graph = build_graph(plan, image, WINDOW, stride)
    owner = _check(graph, image)
    assert graph.circumference_px == graph.box.width == owner.shape[1] == width + (left + count) * stride
    closing = graph[len(graph) - 1]
    (inside, there), (over, begins) = graph.parts_of(closing.window)
    assert closing.new.x1 == graph.box.x1 == inside.x1 == over.x0
    assert there == inside
    assert begins.x0 == graph.box.x0
    assert over.width >= 8
    assert closing.new.x0 - closing.window.x0 >= 8


@_few
@given(crosses, crosses, free_sides, free_sides, strides)
def test_steps_that_are_added_change_nothing_about_those_before(
    plan: Plan, more: Plan, width: int, height: int, stride: int
) -> None:
    image = _image(width, height)
    short, long = (build_graph(each, image, WINDOW, stride, WINDOW) for each in (plan, plan + more))
    for step in short:
        assert long[step.index] == step
        assert long.before(step.index, 5) == short.before(step.index, 5)


@_few
@given(crosses, free_sides, strides, st.integers(1, 6))
def test_batches_hold_every_step_once_after_all_that_it_reads(plan: Plan, side: int, stride: int, size: int) -> None:
    graph = build_graph(plan, _image(side, side), WINDOW, stride, WINDOW)
    done: set[int] = set()
    for batch in graph.batches(size):
        assert len(batch) <= size
        for index in batch:
            assert done.issuperset(graph[index].depends)
            before = graph.before(index, 3)
            assert done.issuperset(before)
            wanted = sorted((graph[j].level, j) for j in range(index) if graph[j].level < graph[index].level)
            assert before == [j for _, j in wanted[-3:]]
        done.update(batch)
    assert done == set(range(len(graph)))


def test_both_ends_grow_at_once() -> None:
    graph = build_graph(parse_plan("right:8,left:4"), _image(64, 64), WINDOW, 32)
    assert graph.num_levels == 8
    assert [graph.level(number) for number in (1, 4, 5)] == [[0, 8], [3, 11], [4]]


def test_a_rectangle_of_windows_takes_few_levels() -> None:
    graph = build_graph(parse_plan("to:448x256"), _image(64, 64), WINDOW, 32)
    assert len(graph) == 13 * 7 - 1
    assert graph.num_levels == 6 + 3


def test_descendants_are_all_that_need_a_step() -> None:
    graph = build_graph(parse_plan("right:3,left:2,up:1"), _image(64, 64), WINDOW, 32)
    assert graph.descendants(1) == [1, 2]
    assert graph.descendants(3) == [3, 4]
    corner = build_graph(parse_plan("to:128x128"), _image(64, 64), WINDOW, 32)
    assert corner.descendants(0) == [0, 3, 6]  # Right, and the pieces above and below it.


def test_a_listed_window_may_lie_anywhere_at_the_edge() -> None:
    image = _image(96, 64)
    graph = build_graph(
        parse_plan("[{'window': [64, 0], 'caption': 'a lake'}, {'window': [16, -32]}, {'window': [48, -32]}]"),
        image,
        WINDOW,
        32,
    )
    _check(graph, image)
    assert [step.direction for step in graph] == ["right", "up", "right"]
    assert [step.new for step in graph] == [Box(96, 0, 128, 64), Box(16, -32, 80, 0), Box(80, -32, 112, 0)]
    assert graph.captions == {0: "a lake"}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("[{'window': [16, 16]}]", r"the window at \[16, 16\] is known already"),
        ("[{'window': [48, 48]}]", r"the window at \[48, 48\] has an unknown part that is no single rectangle"),
        ("[{'window': [300, 0]}]", r"the window at \[300, 0\] needs known pixels on the side opposite"),
        ("[{'window': [64, 0], 'direction': 'left'}]", r"opposite to where it grows \(left\)"),
        ("[{'window': [60, 0]}]", "must add whole cells of 8 px, its new part would be 28 x 64 px"),
        ("loop:4,right:1", "a ring is closed, nothing can follow it, got right:1"),
        ("up:1,to:160x192", "filled rectangle whose sides are multiples of 8 px, got 96 x 128 px with gaps"),
        ("to:96x96", "larger than the 96 x 96 px that are there already"),
        ("to:104x96", r"96 px wide, .* stride of 32 px more in multiples of 8 px, got 104; try 96, 128, 136"),
        ("to:133x96", "got 133; try 96, 128, 136"),
        ("to:96x64", "got 64; try 96, 128"),
        ("right:1000001", "a plan may have 1000000 steps"),
    ],
)
def test_a_plan_that_cannot_be_drawn_is_refused(plan: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "1000001" in plan:
        monkeypatch.setattr("lit_outpaint.canvas.graph.MAX_STEPS", 50)
        message = "a plan may have 50 steps, right:1000001 goes beyond"
    with pytest.raises(ValueError, match=message):
        build_graph(parse_plan(plan), _image(96, 96), WINDOW, 32)


def test_an_image_of_odd_size_is_no_start_for_a_rectangle_and_a_narrow_overlap_none_for_a_ring() -> None:
    with pytest.raises(ValueError, match="sides are multiples of 8 px, got 97 x 64 px"):
        build_graph(parse_plan("to:200x64"), _image(97, 64), WINDOW, 32)
    with pytest.raises(ValueError, match="overlap_px of at least 16, got 8"):
        build_graph(parse_plan("loop:4"), _image(96, 64), WINDOW, 56)


def test_a_long_plan_is_small_and_quick_to_read() -> None:
    graph = build_graph(parse_plan("right:500,left:500"), _image(64, 64), WINDOW, 32, WINDOW)
    assert len(graph) == 1000
    assert graph.before(999, 4) == [497, 997, 498, 998]
