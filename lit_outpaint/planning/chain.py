"""The layout of a chain without end: planned ahead piece by piece, each from its number alone, in bounded memory.

A chain grows right and left of the first image, and up and down above and below it. Each of these four arms is cut into
pieces as long as one pass through the places of the caption. A piece depends on nothing but the caption and its number,
so windows can be asked for in any order, and a chain that grows later keeps what was planned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from lit_outpaint.planning.boxes import Bounds, RegionBox
from lit_outpaint.planning.layout import MIN_SLOTS_PER_WINDOW
from lit_outpaint.planning.places import Place, read_scenery
from lit_outpaint.planning.regions import Region, RegionPlan
from lit_outpaint.planning.slots import Stretch, cell_regions, named, needed, row_regions

WINDOWS_PER_PLACE: Final = 3
"""A place is about this many windows wide."""
MAX_PIECES: Final = 16
"""Pieces that are kept at hand; a window meets two at most in each arm."""

Arm = Literal["image", "right", "left", "up", "down"]


@dataclass(frozen=True, kw_only=True)
class ChainLayout:
    """A layout that has no size."""

    caption: str
    """Of the whole chain."""
    image_box: RegionBox
    """The first image, px."""
    window_px: int
    """Side of a window."""
    image_caption: str = ""
    """What the first image shows; absent, the first place with its things."""
    stride_px: int | None = None
    """New pixels of a step, half a window when absent; things keep to the steps."""

    def over(self, window: Bounds, *, min_share: float = 0.0) -> RegionPlan:
        """What a window meets; see ``RegionPlan.over``."""
        return self.around(window).over(window, min_share=min_share)

    def around(self, box: Bounds) -> RegionPlan:
        """The pieces that a box meets, as a layout in canvas pixels; to be stored, and edited as one of known size."""
        frame = RegionBox.of(box)
        regions: list[Region] = []
        for arm, first, last in self._met(frame):
            for number in range(first, last + 1):
                regions += [region for region in _piece(self, arm, number) if region.box.intersection(frame)]
        return RegionPlan(base_prompt=self.caption, regions=tuple(regions), unit="px")

    @property
    def slot_px(self) -> int:
        """Room for one thing."""
        return self.stride_px or self.window_px // MIN_SLOTS_PER_WINDOW

    def _met(self, frame: RegionBox) -> list[tuple[Arm, int, int]]:
        """The pieces that a box meets, by arm, first and last number."""
        image, along, across = self.image_box, _along_px(self), _across_px(self)
        met: list[tuple[Arm, int, int]] = []
        if frame.y0 < image.y1 and frame.y1 > image.y0:
            met.append(("image", 0, 0))
            met.append(("right", *_numbers(frame.x0 - image.x1, frame.x1 - image.x1, along)))
            met.append(("left", *_numbers(image.x0 - frame.x1, image.x0 - frame.x0, along)))
        if frame.x0 < image.x1 and frame.x1 > image.x0:
            met.append(("up", *_numbers(image.y0 - frame.y1, image.y0 - frame.y0, across)))
            met.append(("down", *_numbers(frame.y0 - image.y1, frame.y1 - image.y1, across)))
        return met


def _numbers(start: float, end: float, piece_px: int) -> tuple[int, int]:
    """First and last piece between two distances from the image; the last is -1 where there is none."""
    if end <= 0:
        return 0, -1
    return max(math.floor(start / piece_px), 0), math.ceil(end / piece_px) - 1


def _along_px(layout: ChainLayout) -> int:
    """Length of a piece to the side."""
    places = read_scenery(layout.caption).surface
    per_place = max(WINDOWS_PER_PLACE * layout.window_px // layout.slot_px, 1)
    slots = max(per_place * len(places), needed([Stretch(place=place) for place in places]))
    return slots * layout.slot_px


def _across_px(layout: ChainLayout) -> int:
    """Height of a piece above or below: every second row has a thing, as long as there are any."""
    scenery = read_scenery(layout.caption)
    rows = 2 * max(len(scenery.sky.things), len(scenery.ground.things), WINDOWS_PER_PLACE)
    return rows * layout.slot_px


@lru_cache(maxsize=MAX_PIECES)
def _piece(layout: ChainLayout, arm: Arm, number: int) -> tuple[Region, ...]:
    """The regions of a piece, with ids that no other piece has."""
    scenery, image, slot = read_scenery(layout.caption), layout.image_box, layout.slot_px
    suffix = f"@{arm}{number}" if arm != "image" else ""
    if arm == "image":
        shown = read_scenery(layout.image_caption).surface[0] if layout.image_caption else scenery.surface[0]
        count = max(round(image.width / slot), len(shown.things), 1)
        edges = [image.x0 + image.width * edge / count for edge in range(count + 1)]
        return named(row_regions([Stretch(place=shown)], edges, image.y0, image.y1), suffix=suffix)
    if arm in ("right", "left"):
        first, *others = _from_image(layout)
        order = [*others, first] if arm == "right" else [first, *others]
        length = _along_px(layout)
        start = image.x1 + number * length if arm == "right" else image.x0 - (number + 1) * length
        edges = [start + slot * edge for edge in range(length // slot + 1)]
        return named(row_regions([Stretch(place=place) for place in order], edges, image.y0, image.y1), suffix=suffix)
    length = _across_px(layout)
    start = image.y1 + number * length if arm == "down" else image.y0 - (number + 1) * length
    rows = [start + slot * edge for edge in range(length // slot + 1)]
    columns = [image.x0, image.x0 + image.width / 2, image.x1]
    place = scenery.sky if arm == "up" else scenery.ground
    return named(_climbing(place, columns, rows, arm), suffix=suffix)


def _from_image(layout: ChainLayout) -> list[Place]:
    """The places in the order in which they follow the one that the image shows."""
    places = list(read_scenery(layout.caption).surface)
    shown = read_scenery(layout.image_caption).surface[0].name if layout.image_caption else places[0].name
    start = next((number for number, place in enumerate(places) if place.name == shown), 0)
    return places[start:] + places[:start]


def _climbing(place: Place, columns: list[float], rows: list[float], arm: Arm) -> list[Region]:
    """The cells of an arm that grows up or down: one thing in every second row, left and right in turn."""
    if arm == "up":
        rows = rows[::-1]
    regions: list[Region] = []
    for number in range(len(rows) - 1):
        y0, y1 = sorted(rows[number : number + 2])
        turn, is_free = divmod(number, 2)
        thing = place.things[turn] if not is_free and turn < len(place.things) else ""
        if not thing:
            one = Place(place.name)
            regions += cell_regions(one, columns, [y0, y1], "sky" if arm == "up" else "ground")
            continue
        halves = columns[turn % 2 : turn % 2 + 2]
        rest = columns[1 - turn % 2 : 3 - turn % 2]
        level: Literal["sky", "ground"] = "sky" if arm == "up" else "ground"
        regions += cell_regions(Place(place.name, (thing,)), halves, [y0, y1], level)
        regions += cell_regions(Place(place.name), rest, [y0, y1], level)
    return regions
