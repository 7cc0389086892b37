"""Rows of slots: places side by side, and room for one thing in each slot.

A slot is as wide as what one step adds, and lies where a step adds it, so that a thing is drawn in one piece.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final

from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.phrases import whereabouts
from lit_outpaint.planning.places import Place
from lit_outpaint.planning.regions import Level, Region, region_ids

STANDS_FROM: Final = 0.4
"""A thing on the surface stands in the lower part of its rows, from this share on."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A place in a row, before it has its slots."""

    place: Place
    head_start: float = 0.0
    """Slots that it has elsewhere already, so that it gets fewer here."""
    may_vanish: bool = False
    """Whether it can do without a slot."""

    @property
    def need(self) -> int:
        """Fewest slots."""
        return len(self.place.things) or (0 if self.may_vanish else 1)


def needed(stretches: Sequence[Stretch]) -> int:
    """Fewest slots of a row."""
    return sum(stretch.need for stretch in stretches)


def slot_edges(start: float, end: float, anchor: float, slot_px: float) -> list[float]:
    """Edges of the slots between two places; those at the ends may be up to twice as wide.

    Args:
        start: where the row begins, px.
        end: where it ends.
        anchor: where an edge of a slot would lie, if the row went on to there.
        slot_px: width of a slot.
    """
    first = math.ceil((start - anchor) / slot_px - 1e-9)
    last = math.floor((end - anchor) / slot_px + 1e-9)
    inner = [anchor + number * slot_px for number in range(first, last + 1)]
    return [start, *inner[1:-1], end] if len(inner) > 1 else [start, end]


def row_regions(stretches: Sequence[Stretch], edges: Sequence[float], y0: float, y1: float) -> list[Region]:
    """The surface between the first edge and the last: each place in its slots, things spread evenly over them.

    Empty slots beside each other are one region. The ids are still to be given.
    """
    counts = _shared(stretches, len(edges) - 1)
    starts = [0, *accumulate(counts)]
    regions: list[Region] = []
    for stretch, start, count in zip(stretches, starts, counts, strict=False):
        at = _spread(stretch.place.things, count)
        empty: Region | None = None
        for number in range(count):
            x0, x1 = edges[start + number], edges[start + number + 1]
            if number in at:
                box, empty = RegionBox(x0, y0 + STANDS_FROM * (y1 - y0), x1, y1), None
                regions.append(region_of(stretch.place, at[number], box, "surface"))
            elif empty is None:
                empty = region_of(stretch.place, "", RegionBox(x0, y0, x1, y1), "surface")
                regions.append(empty)
            else:
                empty = replace(empty, box=replace(empty.box, x1=x1))
                regions[-1] = empty
    return regions


def cell_regions(place: Place, columns: Sequence[float], rows: Sequence[float], level: Level) -> list[Region]:
    """Sky or ground: things spread over the cells between the edges, the rest of each row as long stretches.

    Args:
        place: what it is, with its things.
        columns: edges along x, ascending.
        rows: edges along y, ascending; the things begin in the row beside the surface.
        level: sky or ground.

    Raises:
        ValueError: there are more things than cells.
    """
    num_columns, num_rows = len(columns) - 1, len(rows) - 1
    if len(place.things) > num_columns * num_rows:
        raise ValueError(too_small(place, num_columns * num_rows))
    at: dict[tuple[int, int], str] = {}
    for number, thing in enumerate(place.things):
        column = int((number + 0.5) * num_columns / len(place.things))
        row = number % num_rows
        at[column, row if level == "ground" else num_rows - 1 - row] = thing
    regions = []
    for row, (y0, y1) in enumerate(pairwise(rows)):
        begun: float | None = None
        for column, (x0, x1) in enumerate(pairwise(columns)):
            if (column, row) not in at:
                begun = x0 if begun is None else begun
                continue
            if begun is not None:
                regions.append(region_of(place, "", RegionBox(begun, y0, x0, y1), level))
                begun = None
            regions.append(region_of(place, at[column, row], RegionBox(x0, y0, x1, y1), level))
        if begun is not None:
            regions.append(region_of(place, "", RegionBox(begun, y0, columns[-1], y1), level))
    return regions


def region_of(place: Place, thing: str, box: RegionBox, level: Level) -> Region:
    """A region without an id of its own yet."""
    where = whereabouts(place.name) if place.name else ""
    prompt = f"{thing} {where}".strip() if thing else place.name or "nothing else"
    return Region(id="unnamed", prompt=prompt, box=box, thing=thing, place=place.name, level=level)


def named(regions: Sequence[Region], taken: Iterable[str] = (), suffix: str = "") -> tuple[Region, ...]:
    """The regions with ids made of their things and places."""
    ids = region_ids([region.thing or region.place or region.prompt for region in regions], taken)
    return tuple(replace(region, id=f"{name}{suffix}") for region, name in zip(regions, ids, strict=True))


def too_small(place: Place, num_slots: int) -> str:
    """What is wrong when things do not fit."""
    what = f"{len(place.things)} things" + (f" {whereabouts(place.name)}" if place.name else "")
    return f"the canvas must have room for {what}, got {num_slots} slots; name fewer, or draw a larger canvas"


def _shared(stretches: Sequence[Stretch], num_slots: int) -> list[int]:
    """How many slots each place gets: as many as it needs, then the others so that all become alike."""
    counts = [stretch.need for stretch in stretches]
    assert sum(counts) <= num_slots, "the caller has seen to it that there is room"
    waiting = [
        (count + stretch.head_start, i) for i, (count, stretch) in enumerate(zip(counts, stretches, strict=True))
    ]
    heapq.heapify(waiting)
    for _ in range(num_slots - sum(counts)):
        size, number = waiting[0]
        counts[number] += 1
        heapq.heapreplace(waiting, (size + 1, number))
    return counts


def _spread(things: Sequence[str], count: int) -> dict[int, str]:
    """Which of ``count`` slots holds which thing."""
    return {int((number + 0.5) * count / len(things)): thing for number, thing in enumerate(things)}
