"""Boxes for things from how they stand to each other.

Things that stand above each other share a column, which is divided into rows. Columns stand side by side in order of
mention, as far as "left of" allows; of relations that contradict each other the first is kept. Positions in the picture
("on the left", "at the top") come before relations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.connectors import Band, Lane

_RANKS: Final[dict[Lane | None, int]] = {"left": 0, None: 1, "middle": 1, "right": 2}

Pair = tuple[int, int]


@dataclass(frozen=True)
class Item:
    """Where a prompt puts a thing."""

    lane: Lane | None = None
    band: Band | None = None


def arrange(items: Sequence[Item], left_of: Sequence[Pair], above: Sequence[Pair]) -> list[RegionBox]:
    """A box for each item, in shares; none overlap.

    Args:
        items: in order of mention.
        left_of: pairs of items of which the first stands to the left of the second.
        above: pairs of which the first stands above the second.
    """
    bands = _bands(items)
    boxes: dict[int, RegionBox] = {}
    for band in dict.fromkeys(bands):
        members = [number for number in range(len(items)) if bands[number] == band]
        boxes |= _columns(items, members, left_of, above, band)
    return [boxes[number] for number in range(len(items))]


def in_order(members: Sequence[int], pairs: Sequence[Pair], rank: dict[int, int]) -> list[int]:
    """The members so that the first of each pair comes before the second; by rank where the pairs leave it open.

    A pair that contradicts earlier ones is left out.
    """
    after: dict[int, set[int]] = {member: set() for member in members}
    for first, second in pairs:
        if first != second and first in after and second in after and not _reaches(after, second, first):
            after[first].add(second)
    order: list[int] = []
    left = set(members)
    while left:
        free = [member for member in left if not any(member in after[other] for other in left)]
        order.append(min(free, key=lambda member: rank[member]))
        left.remove(order[-1])
    return order


def _bands(items: Sequence[Item]) -> list[tuple[float, float]]:
    """From where to where each item reaches from top to bottom: all the way, unless an item has a position there."""
    said = {item.band for item in items} - {None}
    if not said:
        return [(0.0, 1.0)] * len(items)
    others: Band = "top" if said == {"bottom"} else "bottom"
    return [(0.0, 0.5) if (item.band or others) == "top" else (0.5, 1.0) for item in items]


def _columns(
    items: Sequence[Item],
    members: Sequence[int],
    left_of: Sequence[Pair],
    above: Sequence[Pair],
    band: tuple[float, float],
) -> dict[int, RegionBox]:
    stacks = _stacks(members, above)
    stack_of = {member: number for number, stack in enumerate(stacks) for member in stack}
    lanes = [next((items[member].lane for member in stack if items[member].lane), None) for stack in stacks]
    pairs = [(stack_of[a], stack_of[b]) for a, b in left_of if a in stack_of and b in stack_of]
    order = in_order(range(len(stacks)), pairs, {number: number for number in range(len(stacks))})
    boxes: dict[int, RegionBox] = {}
    for rank, (x0, x1) in _lanes(lanes).items():
        lane = [number for number in order if _RANKS[lanes[number]] == rank]
        levels = {number: _levels(stacks[number], above, left_of) for number in lane}
        widths = [max(map(len, levels[number])) for number in lane]
        for number, (left, right) in zip(lane, _divided(x0, x1, widths), strict=True):
            boxes |= _rows(levels[number], RegionBox(left, band[0], right, band[1]))
    return boxes


def _lanes(lanes: Sequence[Lane | None]) -> dict[int, tuple[float, float]]:
    """From where to where each lane that is used reaches, by rank."""
    used = {_RANKS[lane] for lane in lanes}
    if not used:
        return {}
    if None in lanes and used == {1}:
        return {1: (0.0, 1.0)}  # "In the middle" of things that have no side is in their middle.
    if 1 not in used:
        return {rank: (rank / 4, rank / 4 + 0.5) for rank in used}
    wide = "middle" not in lanes
    middle = (0.0 if wide and 0 not in used else 1 / 3, 1.0 if wide and 2 not in used else 2 / 3)
    spans = {0: (0.0, 1 / 3), 1: middle, 2: (2 / 3, 1.0)}
    return {rank: spans[rank] for rank in sorted(used)}


def _rows(levels: Sequence[Sequence[int]], frame: RegionBox) -> dict[int, RegionBox]:
    boxes = {}
    for level, (y0, y1) in zip(levels, _divided(frame.y0, frame.y1, [1] * len(levels)), strict=True):
        for member, (x0, x1) in zip(level, _divided(frame.x0, frame.x1, [1] * len(level)), strict=True):
            boxes[member] = RegionBox(x0, y0, x1, y1)
    return boxes


def _stacks(members: Sequence[int], above: Sequence[Pair]) -> list[list[int]]:
    """Members that stand above each other, directly or through others; in order of mention."""
    stack_of = {member: member for member in members}
    for one, other in above:
        if one in stack_of and other in stack_of:
            old, new = sorted((stack_of[one], stack_of[other]), reverse=True)
            stack_of = {member: new if stack == old else stack for member, stack in stack_of.items()}
    return [[m for m in members if stack_of[m] == stack] for stack in dict.fromkeys(stack_of.values())]


def _levels(stack: Sequence[int], above: Sequence[Pair], left_of: Sequence[Pair]) -> list[list[int]]:
    """The members of a stack row by row, each row from left to right."""
    inside = [pair for pair in above if pair[0] in stack and pair[1] in stack]
    order = in_order(stack, inside, {member: member for member in stack})
    place = {member: number for number, member in enumerate(order)}
    level: dict[int, int] = {}
    for member in order:
        over = [level[first] for first, second in inside if second == member and place[first] < place[member]]
        level[member] = max(over, default=-1) + 1
    rows = [[member for member in stack if level[member] == number] for number in range(max(level.values()) + 1)]
    return [in_order(row, left_of, {member: member for member in row}) for row in rows]


def _divided(start: float, end: float, weights: Sequence[int]) -> list[tuple[float, float]]:
    """A stretch in parts whose lengths are as the weights; the last ends where it ends."""
    total = sum(weights)
    edges = [start + (end - start) * part / total for part in accumulate(weights, initial=0)]
    return list(pairwise([*edges[:-1], end])) if weights else []


def _reaches(after: dict[int, set[int]], start: int, goal: int) -> bool:
    waiting, seen = [start], {start}
    while waiting:
        for number in after[waiting.pop()] - seen:
            seen.add(number)
            waiting.append(number)
    return goal in seen
