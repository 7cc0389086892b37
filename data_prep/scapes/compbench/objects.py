"""Categories that ask for things alone: presence, colour and counting."""

import random
from typing import Final

from data_prep.scapes.casting import COLOURED_LAYOUTS, LAYOUTS, Layout, a_colour, cast, kinds_of
from data_prep.scapes.compbench.made import Made, biomes, colours, present
from data_prep.scapes.compbench.wording import listed, named, opened, place_of, placed_groups, tidy
from data_prep.scapes.palette import COLOURS
from data_prep.scapes.staging import HOME, Scene, Seen, stage
from lit_outpaint.data.prompts import Atom, CountAtom, Thing

_PLACED_SHARE: Final = 0.4
"""How often a prompt says where things are."""
_SECOND_SHARE: Final = 0.4
"""How often things of a second kind are counted."""

_ROWS: Final[dict[str, dict[int, tuple[tuple[int, ...], ...]]]] = {
    "surface": {1: ((1,),), 2: ((2,),), 3: ((3,),)},
    "sky": {1: ((1, 0),), 2: ((1, 1),), 3: ((2, 1), (1, 2)), 4: ((2, 2),)},
    "underground": {1: ((1, 0),), 2: ((2, 0), (1, 1)), 3: ((3, 0), (2, 1), (1, 2)), 4: ((2, 2), (3, 1), (1, 3))},
}
"""How this many things of a kind share the rows of a view; four need two rows, which the surface does not have."""


def presence(rng: random.Random, number: int) -> list[Made]:
    """One to four things of different kinds; colours are not spoken of."""
    layout = rng.choice(LAYOUTS[number % len(LAYOUTS) + 1])
    scene = stage(rng, layout.view, cast(rng, layout))
    return [_of_things(rng, scene, [named(thing.kind) for thing in scene.things], present(scene.things))]


def colour(rng: random.Random, number: int) -> list[Made]:
    """Two or three things of different kinds and colours, and the same things with their colours passed on."""
    layout = rng.choice(COLOURED_LAYOUTS[number % 2 + 2])
    kinds = [(thing.kind, thing.row) for thing in cast(rng, layout, coloured_only=True)]
    palette = rng.sample(list(COLOURS), len(kinds))
    wording = rng.getrandbits(32)
    swapped = [palette[-1], *palette[:-1]]
    return [_coloured(layout, kinds, chosen, wording) for chosen in (palette, swapped)]


def _coloured(layout: Layout, kinds: list[tuple[str, int]], palette: list[str], wording: int) -> Made:
    # The same draws for both prompts of a pair: they differ in colours alone, and so do their pictures.
    rng = random.Random(wording)
    things = [Seen(kind, chosen, row) for (kind, row), chosen in zip(kinds, palette, strict=True)]
    scene = stage(rng, layout.view, things)
    names = [named(thing.kind, thing.colour) for thing in scene.things]
    return _of_things(rng, scene, names, [*present(scene.things), *colours(scene.things)])


def _of_things(rng: random.Random, scene: Scene, names: list[str], atoms: list[Atom]) -> Made:
    """A list of things; a part of the prompts says where they are, which is an atom more for each biome."""
    if rng.random() >= _PLACED_SHARE:
        return Made(tidy(opened(rng, listed(rng, names))), tuple(atoms), scene)
    places = [place_of(scene, thing) for thing in scene.things]
    text = placed_groups(rng, list(zip(places, names, strict=True)))
    return Made(tidy(text), (*atoms, *biomes(scene.things)), scene)


def counting(rng: random.Random, number: int) -> list[Made]:
    """One to four things of a kind; a part of the prompts counts a second kind too, up to four things in all."""
    total = number % 4 + 1
    view = rng.choice([view for view in ("surface", *_ROWS) if total in _ROWS[view]])
    layout = Layout(view, rng.choice(_ROWS[view][total]))
    kinds = kinds_of(layout, 0)
    first = rng.choice(kinds)
    others = [kind for kind in kinds if kind != first and HOME.get(kind) == HOME.get(first)]
    num_others = rng.randrange(1, total) if total > 1 and others and rng.random() < _SECOND_SHARE else 0
    chosen = [first] * (total - num_others) + ([rng.choice(others)] * num_others if num_others else [])
    rng.shuffle(chosen)
    rows = [row for row, count in enumerate(layout.counts) for _ in range(count)]
    scene = stage(rng, view, [Seen(kind, a_colour(rng, kind), row) for kind, row in zip(chosen, rows, strict=True)])
    counts = {kind: chosen.count(kind) for kind in dict.fromkeys(chosen)}
    names = [
        "one " + named(kind).split(maxsplit=1)[1] if n == 1 else named(kind, count=n) for kind, n in counts.items()
    ]
    atoms = tuple(CountAtom(thing=Thing(kind=kind), count=count) for kind, count in counts.items())
    return [Made(tidy(opened(rng, listed(rng, names))), atoms, scene)]
