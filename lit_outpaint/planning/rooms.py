"""Room for things around regions that stay as they are, on the side of them where the prompt puts the thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lit_outpaint.planning.arrange import Item, Pair, arrange
from lit_outpaint.planning.boxes import WHOLE, RegionBox
from lit_outpaint.planning.overlaps import MIN_LEFT, largest_free


class Arranged(NamedTuple):
    """Boxes for things."""

    boxes: list[RegionBox | None]
    """One for each; None where no room is left."""
    astray: list[int]
    """Things that have no room on the side where they should stand, and stand elsewhere."""


def arrange_around(
    items: Sequence[Item], left_of: Sequence[Pair], above: Sequence[Pair], kept: Mapping[int, RegionBox]
) -> Arranged:
    """Boxes for things that overlap neither each other nor regions that are kept.

    Things of one side share the largest free rectangle there; those of no side have the largest of what is left.

    Args:
        items: the things, in order of mention.
        left_of: pairs of numbers of which the first stands to the left of the second.
        above: pairs of which the first stands above the second.
        kept: boxes of the regions that are kept, by numbers that come after those of the things.
    """
    frames = [_frame(number, len(items), left_of, above, kept) for number in range(len(items))]
    taken, rooms, astray = list(kept.values()), dict[RegionBox, list[int]](), list[int]()
    for number in sorted(range(len(items)), key=lambda number: frames[number] == WHOLE):
        frame = frames[number]
        if frame is None or largest_free(taken, frame) is None:
            astray.append(number)
            frame = WHOLE
        room = _room(frame, taken, list(rooms))
        if room is not None:
            rooms.setdefault(room, []).append(number)
    boxes: list[RegionBox | None] = [None] * len(items)
    for room, members in rooms.items():
        members.sort()
        place = {member: number for number, member in enumerate(members)}
        inside = [[(place[a], place[b]) for a, b in pairs if a in place and b in place] for pairs in (left_of, above)]
        for member, box in zip(members, arrange([items[member] for member in members], *inside), strict=True):
            boxes[member] = box.within(room)
    return Arranged(boxes, sorted(astray))


def _frame(
    number: int, count: int, left_of: Sequence[Pair], above: Sequence[Pair], kept: Mapping[int, RegionBox]
) -> RegionBox | None:
    """Where a thing may stand for the sake of what is kept; None where its sides contradict each other."""
    # What stands above each other shares a column.
    among = [pair for pair in above if max(pair) < count]
    column = {number} | _after(number, [*among, *_turned(among)])
    right = {other for member in column for other in _after(member, left_of)}
    left = {other for member in column for other in _after(member, _turned(left_of))}
    x0 = max([kept[other].x1 for other in left & kept.keys()], default=0.0)
    x1 = min([kept[other].x0 for other in right & kept.keys()], default=1.0)
    y0 = max([kept[other].y1 for other in _after(number, _turned(above)) & kept.keys()], default=0.0)
    y1 = min([kept[other].y0 for other in _after(number, above) & kept.keys()], default=1.0)
    return RegionBox(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _room(frame: RegionBox, taken: Sequence[RegionBox], rooms: Sequence[RegionBox]) -> RegionBox | None:
    """The largest free rectangle of a frame; a room that is in use is shared rather than cut into slivers."""
    free = largest_free(taken, frame)
    if free is None or free in rooms:
        return free
    left = largest_free([*taken, *rooms], frame)
    if left is not None and left.area >= MIN_LEFT * free.area:
        return left
    return max(rooms, key=lambda room: 0.0 if (common := room.intersection(free)) is None else common.area)


def _turned(pairs: Sequence[Pair]) -> list[Pair]:
    return [(second, first) for first, second in pairs]


def _after(start: int, pairs: Sequence[Pair]) -> set[int]:
    """All that comes after a number, directly or through others."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {second for first, second in pairs if first == here} - found
        found |= new
        waiting += new
    return found
