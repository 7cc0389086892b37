"""The plan as a graph: every step with its window, its new pixels, the steps it needs and its level.

A step needs the earlier steps whose new pixels meet its window or what it looks back at. Its level is one more than the
highest level among those, so the steps of one level need nothing of each other and can be drawn in one batch (a
wavefront). Everything that a step reads is fixed here, by the order in which the plan was written, never by what
happened to be finished first; steps that are added to a plan later change nothing about those before them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lit_outpaint.canvas.cover import Cover
from lit_outpaint.canvas.geometry import DIRECTIONS, VAE_FACTOR, Box, Direction
from lit_outpaint.canvas.placing import Placed, Tile, at_least, behind, place
from lit_outpaint.canvas.plan import Plan, Ring

MAX_STEPS = 1_000_000
"""A plan takes about 400 bytes a step while it is laid out; longer ones are drawn in parts."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One window to draw."""

    index: int
    """Number of the step, from 0, in the order in which the plan was written."""
    direction: Direction
    """The side that grows."""
    window: Box
    """What the model draws; where it reaches over the end of a ring, the ring's beginning comes again."""
    new: Box
    """The pixels it adds; the rest of the window is known when the steps it needs are done."""
    view: Box
    """Known pixels behind the seam: what captioner and vision encoder look at."""
    depends: tuple[int, ...]
    """The steps it needs, ascending; the first image is none."""
    level: int
    """1 without any need, else one more than the highest level among the steps it needs."""

    @property
    def is_strip(self) -> bool:
        """Whether the window has one seam, straight across it."""
        sides = (pair[0] != pair[1] for pair in zip(self.new.as_tuple(), self.window.as_tuple(), strict=True))
        return sum(sides) == 1


class Graph:
    """The steps of a plan; a sequence of `PlannedStep`, kept in plain arrays. Made by `build_graph`.

    Attributes:
        box: what the canvas will span.
        circumference_px: length of the ring, None when the plan closes none.
        captions: local captions that the plan itself gives, by step.
    """

    def __init__(self, image_box: Box) -> None:
        self.box = image_box
        self.circumference_px: int | None = None
        self.captions: dict[int, str] = {}
        self._left_end = image_box.x0
        self._boxes, self._directions = array("i"), array("b")
        self._levels, self._needs, self._needs_end = array("i"), array("i"), array("q", [0])
        self._order = np.empty(0, np.int64)
        self._starts = np.zeros(1, np.int64)

    def __len__(self) -> int:
        return len(self._levels)

    def __getitem__(self, index: int) -> PlannedStep:
        if not 0 <= index < len(self):
            raise IndexError(f"the plan has {len(self)} steps, there is no step {index}")
        edges = self._boxes[12 * index : 12 * index + 12]
        return PlannedStep(
            index=index,
            direction=DIRECTIONS[self._directions[index]],
            window=Box(*edges[:4]),
            new=Box(*edges[4:8]),
            view=Box(*edges[8:]),
            depends=tuple(self._needs[self._needs_end[index] : self._needs_end[index + 1]]),
            level=self._levels[index],
        )

    def __iter__(self) -> Iterator[PlannedStep]:
        return (self[index] for index in range(len(self)))

    def new_px(self) -> Int64[ndarray, " steps"]:
        """How many pixels each step adds; the box may span many more that nobody draws."""
        if not len(self):
            return np.zeros(0, np.int64)
        x0, y0, x1, y1 = np.frombuffer(self._boxes, np.int32).reshape(-1, 12)[:, 4:8].astype(np.int64).T
        return (x1 - x0) * (y1 - y0)

    @property
    def num_levels(self) -> int:
        """How many batches it takes when every level is one."""
        return len(self._starts) - 1

    def level(self, number: int) -> list[int]:
        """The steps of a level, from 1, ascending."""
        return self._order[self._starts[number - 1] : self._starts[number]].tolist()

    def batches(self, size: int) -> Iterator[list[int]]:
        """All steps, level by level, in groups of at most ``size``; the groups do not depend on what is done."""
        for number in range(1, self.num_levels + 1):
            steps = self.level(number)
            yield from (steps[i : i + size] for i in range(0, len(steps), size))

    def following(self, index: int, limit: int) -> list[int]:
        """The steps that come next after one, level by level."""
        begin, end = self._starts[self._levels[index] - 1 : self._levels[index] + 1]
        place = begin + np.searchsorted(self._order[begin:end], index) + 1
        return self._order[place : place + limit].tolist()

    def before(self, index: int, limit: int) -> list[int]:
        """The latest steps that were written before a step and lie in lower levels, latest last.

        That is what a captioner may be told of: the same in every run, whatever was drawn first.
        """
        found: list[int] = []
        for number in range(self._levels[index] - 1, 0, -1):
            level = self._order[self._starts[number - 1] : self._starts[number]]
            earlier = level[: np.searchsorted(level, index)]
            found += earlier[: -(limit - len(found)) - 1 : -1].tolist()
            if len(found) >= limit:
                break
        return found[::-1]

    def descendants(self, index: int) -> list[int]:
        """A step and all that need it, directly or not, ascending."""
        touched = {index}
        for later in range(index + 1, len(self)):
            if not touched.isdisjoint(self._needs[self._needs_end[later] : self._needs_end[later + 1]]):
                touched.add(later)
        return sorted(touched)

    def parts_of(self, box: Box) -> list[tuple[Box, Box]]:
        """Pairs of a part of ``box`` and its place on the canvas: one pair, or two where a ring ends inside the box."""
        if self.circumference_px is None or box.x1 <= self._left_end + self.circumference_px:
            return [(box, box)]
        end = self._left_end + self.circumference_px
        inside, over = Box(box.x0, box.y0, end, box.y1), Box(end, box.y0, box.x1, box.y1)
        return [(inside, inside), (over, over.shift(-self.circumference_px, 0))]

    def _close(self, box: Box, more_px: int) -> None:
        """Make a ring of what is there and the strips to come."""
        self._left_end, self.circumference_px = box.x0, box.width + more_px

    def _append(self, placed: Placed, view: Box, depends: Sequence[int]) -> None:
        if placed.caption:
            self.captions[len(self)] = placed.caption
        self._boxes.extend(chain(placed.window.as_tuple(), placed.new.as_tuple(), view.as_tuple()))
        self._directions.append(DIRECTIONS.index(placed.direction))
        self._needs.extend(depends)
        self._needs_end.append(len(self._needs))
        self._levels.append(1 + max((self._levels[step] for step in depends), default=0))
        self.box = self.box.union(placed.new)

    def _sort(self) -> None:
        levels = np.frombuffer(self._levels, np.int32) if len(self) else np.empty(0, np.int32)
        self._order = np.argsort(levels, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(levels)[1:])]).astype(np.int64)


def build_graph(plan: Plan, image_box: Box, window_px: int, stride_px: int, span_px: int | None = None) -> Graph:
    """Lay out a plan around a first image.

    Args:
        plan: what to draw.
        image_box: the first image.
        window_px: side of the windows.
        stride_px: new pixels per step along the growing axis.
        span_px: how far back from the seam a step looks, at most to the far side of the image; only at its own window
            where less is known. The known side of the window when absent.

    Raises:
        ValueError: the image is smaller than a window, a step would leave a gap or change known pixels, or the plan
            has more than `MAX_STEPS` steps.
    """
    tile = Tile(window_px, stride_px)
    cover, graph = Cover(image_box, window_px), Graph(image_box)
    for part in plan:
        if graph.circumference_px is not None:
            raise ValueError(f"a ring is closed, nothing can follow it, got {part}; start another run for that")
        if len(graph) + at_least(part, cover, tile) > MAX_STEPS:
            raise ValueError(f"a plan may have {MAX_STEPS} steps, {part} goes beyond; draw it in parts, with --resume")
        if isinstance(part, Ring):
            graph._close(cover.box, part.count * stride_px)
        for placed in place(part, cover, tile):
            view = _view(placed, cover, span_px)
            needed = _under(placed, graph, cover) | cover.meeting(view).keys()
            graph._append(placed, view, sorted(needed - {-1}))
            cover.add(placed.new)
    graph._sort()
    return graph


def _under(placed: Placed, graph: Graph, cover: Cover) -> set[int]:
    """The boxes under a window; refuses a window that is not known all around its new pixels."""
    window, new = placed.window, placed.new
    who = f"step {len(graph)} ({placed.direction}, window at [{window.x0}, {window.y0}])"
    if any(edge % VAE_FACTOR for edge in new.shift(-window.x0, -window.y0).as_tuple()):
        raise ValueError(
            f"{who} must add whole cells of {VAE_FACTOR} px, its new part would be {new.width} x {new.height} px; "
            f"move it"
        )
    if new == window:
        raise ValueError(f"{who} touches nothing known; move it, or add steps before it that reach it")
    if cover.meeting(new):
        raise ValueError(f"{who} would draw over known pixels; move it")
    parts = [cover.meeting(place) for _, place in graph.parts_of(window)]
    gap_px = window.area - new.area - sum(part.area for found in parts for part in found.values())
    if gap_px:
        raise ValueError(
            f"{who} would leave a gap: {gap_px} px of its window are neither known nor new; add steps before it that "
            f"fill them"
        )
    return {number for found in parts for number in found}


def _view(placed: Placed, cover: Cover, span_px: int | None) -> Box:
    """What a step looks at: ``span_px`` back where all of that is known, else the known side of its own window."""
    own = behind(placed.direction, placed.window, placed.new)
    assert own is not None  # Every window is placed so that something lies behind.
    if span_px is None:
        return own
    back = behind(placed.direction, placed.window, placed.new, span_px)
    back = back.intersection(cover.image_box.union(placed.window)) if back is not None else None
    return back if back is not None and cover.covers(back) else own
