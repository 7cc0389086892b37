"""Which things a scene shows: kinds and colours drawn for the rows of a view."""

import random
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from data_prep.scapes.palette import COLOURS, KINDS
from data_prep.scapes.staging import LAYER_KINDS, LOW_KINDS, VIEWS, Seen, in_two_biomes


class Layout(NamedTuple):
    """How many things stand in each row of a view."""

    view: str
    counts: tuple[int, ...]


LAYOUTS: Final[dict[int, tuple[Layout, ...]]] = {
    1: (
        Layout("surface", (1,)),
        Layout("surface", (1,)),
        Layout("underground", (1, 0)),
        Layout("sky", (1, 0)),
        Layout("sky and surface", (0, 1)),
    ),
    2: (
        Layout("surface", (2,)),
        Layout("surface", (2,)),
        Layout("sky and surface", (1, 1)),
        Layout("surface and underground", (1, 1)),
        Layout("underground", (1, 1)),
        Layout("underground", (2, 0)),
    ),
    3: (
        Layout("surface", (3,)),
        Layout("surface", (3,)),
        Layout("sky and surface", (1, 2)),
        Layout("surface and underground", (2, 1)),
        Layout("surface and underground", (1, 2)),
        Layout("underground", (2, 1)),
    ),
    4: (
        Layout("surface and underground", (2, 2)),
        Layout("surface and underground", (3, 1)),
        Layout("surface and underground", (1, 3)),
    ),
}
"""By the number of things: where that many things of different kinds can be."""

COLOURED_LAYOUTS: Final[dict[int, tuple[Layout, ...]]] = {
    2: (
        Layout("surface", (2,)),
        Layout("surface", (2,)),
        Layout("sky and surface", (1, 1)),
        Layout("surface and underground", (1, 1)),
    ),
    3: (
        Layout("surface", (3,)),
        Layout("surface", (3,)),
        Layout("sky and surface", (1, 2)),
        Layout("surface and underground", (2, 1)),
    ),
}
"""The same for kinds that come in several colours: of those that are buried only crystals do."""


@cache
def kinds_of(layout: Layout, row: int, *, coloured_only: bool = False) -> tuple[str, ...]:
    """Kinds that may stand in a row."""
    kinds = LAYER_KINDS[VIEWS[layout.view].rows[row].layer]
    low = LOW_KINDS if layout.view == "sky and surface" else ()
    return tuple(kind for kind in kinds if kind not in low and (KINDS[kind] or not coloured_only))


def cast(rng: random.Random, layout: Layout, *, coloured_only: bool = False) -> list[Seen]:
    """Things of different kinds, each in a random colour, that may stand beside each other.

    Args:
        rng: draws.
        layout: with kinds enough for its rows.
        coloured_only: only kinds that come in several colours.
    """
    rows = [row for row, count in enumerate(layout.counts) for _ in range(count)]
    while True:
        kinds = [rng.choice(kinds_of(layout, row, coloured_only=coloured_only)) for row in rows]
        if len(set(kinds)) == len(kinds) and in_two_biomes(kinds):
            return [Seen(kind, a_colour(rng, kind), row) for kind, row in zip(kinds, rows, strict=True)]


def a_colour(rng: random.Random, kind: str, colours: Sequence[str] = tuple(COLOURS)) -> str | None:
    """A colour for a thing of a kind; None where the kind has none."""
    return rng.choice(colours) if KINDS[kind] else None
