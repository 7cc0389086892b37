"""Scenes that are put together to show what a prompt says, painted by the world under its own laws.

A scene obeys the world: surface things stand in their biomes, at most three side by side and at most two biomes in a
view; a view shows one layer, or the seam of two (sky over surface, surface over the ground below). So whatever a prompt
asks for, a system that knows the world can draw.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np

from data_prep.scapes.palette import BIOME_KINDS, BIOMES, TIMES, UNDERGROUND_KINDS, WEATHERS
from data_prep.scapes.world import SURFACE_END, Placed, Staged, World

Layer = Literal["sky", "surface", "underground"]

SKY_KINDS: Final = ("balloon",)
"""Flying things that are asked for. Birds and stars are not: the probe sees neither, not even on true windows."""

SURFACE_KINDS: Final = tuple(kind for kinds in BIOME_KINDS.values() for kind in kinds)
LAYER_KINDS: Final[dict[Layer, tuple[str, ...]]] = {
    "sky": SKY_KINDS,
    "surface": SURFACE_KINDS,
    "underground": UNDERGROUND_KINDS,
}
HOME: Final = {kind: biome for biome, kinds in BIOME_KINDS.items() for kind in kinds}
"""Biome of every surface kind."""


LOW_KINDS: Final = ("car", "igloo", "tent")
"""Surface kinds of which the view of sky and surface would show the top alone."""


class Row(NamedTuple):
    """Where things of a layer stand in a view: y of their feet, world px."""

    layer: Layer
    foot: float


class View(NamedTuple):
    """What a window shows: its upper edge, and its rows from above."""

    y: int
    rows: tuple[Row, ...]


_BURIED: Final = SURFACE_END + 68
"""Mean foot of the uppermost buried row; the next lies 72 px lower. Sky rows end 6 and 86 px above the band."""

VIEWS: Final[dict[str, View]] = {
    "surface": View(0, (Row("surface", 108),)),
    "sky and surface": View(-38, (Row("sky", 0), Row("surface", 102))),
    "surface and underground": View(68, (Row("surface", 114), Row("underground", _BURIED - 6))),
    "sky": View(-138, (Row("sky", -86), Row("sky", -12))),
    "underground": View(152, (Row("underground", _BURIED), Row("underground", _BURIED + 70))),
}
"""Where two rows share a window they stand as near to each other as the world allows."""

COLUMNS: Final = {1: (64.0,), 2: (30.0, 98.0), 3: (14.0, 64.0, 114.0)}
"""x of things that share a row, by how many they are, px."""
_SWAY: Final = {1: 28.0, 2: 6.0, 3: 1.0}


class Seen(NamedTuple):
    """A thing to be shown: kind, colour (None where the kind has none) and the row of the view that it stands in."""

    kind: str
    colour: str | None
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that a true picture shows."""

    seed: int
    """Of the world around: curves of the ground, peaks, clouds."""
    view: str
    time: str
    weather: str
    mountains: bool
    biomes: tuple[str, ...]
    border: float
    things: tuple[Seen, ...]
    """From left to right within each row."""
    places: tuple[tuple[float, float], ...]
    """Middle of the foot of each, px."""

    def render(self) -> np.ndarray:
        """The true picture, uint8 ``(128, 128, 3)``."""
        return self.world().render(0, VIEWS[self.view].y)

    def world(self) -> World:
        """The world that the picture is cut from, at x = 0."""
        placed = [Placed(t.kind, t.colour, x, y) for t, (x, y) in zip(self.things, self.places, strict=True)]
        staged = Staged(
            time=self.time,
            weather=self.weather,
            mountains=self.mountains,
            biomes=self.biomes,
            border=self.border,
            objects=tuple(placed),
        )
        return World(self.seed, staged)


def stage(
    rng: random.Random,
    view: str,
    things: Sequence[Seen],
    *,
    time: str | None = None,
    weather: str | None = None,
    mountains: bool | None = None,
    biome: str | None = None,
) -> Scene:
    """Put a scene together; what is not given is drawn.

    Args:
        rng: draws.
        view: of `VIEWS`.
        things: from left to right within each row; surface things of at most two biomes, each biome in one piece.
        time: of day.
        weather: of `WEATHERS`.
        mountains: whether there are any.
        biome: where no surface thing says it.
    """
    rows = VIEWS[view].rows
    places: list[tuple[float, float]] = []
    for index, row in enumerate(rows):
        count = sum(thing.row == index for thing in things)
        sway = [rng.uniform(-1, 1) * _SWAY[count] for _ in range(count)] if count else []
        columns = [x + dx for x, dx in zip(COLUMNS[count], sway, strict=True)] if count else []
        places += [(x, row.foot) for x in columns]
    ordered = tuple(sorted(things, key=lambda thing: thing.row))
    homes = [(HOME[t.kind], x) for t, (x, _) in zip(ordered, places, strict=True) if t.kind in HOME]
    biomes = tuple(dict.fromkeys(home for home, _ in homes)) or (biome or rng.choice(BIOMES),)
    border = _border(homes) if len(biomes) > 1 else 0.0
    return Scene(
        seed=rng.getrandbits(31),
        view=view,
        time=time or rng.choice(TIMES),
        weather=weather or rng.choice(WEATHERS),
        mountains=rng.random() < 0.5 if mountains is None else mountains,
        biomes=biomes,
        border=border,
        things=ordered,
        places=tuple(places),
    )


def _border(homes: Sequence[tuple[str, float]]) -> float:
    """Half-way between the last thing of the first biome and the first of the second."""
    first = homes[0][0]
    last = max(x for home, x in homes if home == first)
    return (last + min(x for home, x in homes if home != first)) / 2


def in_two_biomes(kinds: Sequence[str]) -> bool:
    """Whether surface kinds, from left to right, stand in at most two biomes, each in one piece."""
    homes = [HOME[kind] for kind in kinds if kind in HOME]
    changes = sum(one != other for one, other in pairwise(homes))
    return changes <= 1 and len(set(homes)) <= 2
