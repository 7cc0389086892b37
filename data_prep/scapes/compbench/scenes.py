"""Categories that speak of the whole scene: its attributes alone, several kinds of atoms at once, and at length."""

import random
from collections.abc import Sequence
from typing import Final

from data_prep.scapes.captions import PLACES
from data_prep.scapes.casting import Layout, a_colour, cast
from data_prep.scapes.compbench.made import Made, biomes, colours, present
from data_prep.scapes.compbench.wording import attributes, named, placed_groups, relation_phrase, tidy
from data_prep.scapes.palette import BIOME_KINDS, BIOMES
from data_prep.scapes.staging import HOME, Scene, Seen, stage
from lit_outpaint.data.prompts import (
    Atom,
    BiomeAtom,
    CountAtom,
    MountainsAtom,
    Relation,
    RelationAtom,
    Thing,
    TimeAtom,
    WeatherAtom,
)

_ATTRIBUTES: Final = ("time", "weather", "mountains")
_BARE_SHARE: Final = 0.25
"""How often a prompt that speaks of mountains says that there are none."""


def scene(rng: random.Random, number: int) -> list[Made]:
    """A biome with one to three of time, weather and mountains; a part of the prompts has one thing in it."""
    chosen = rng.sample(_ATTRIBUTES, number % 3 + 1)
    biome = rng.choice(BIOMES)
    kind = rng.choice(BIOME_KINDS[biome])
    things = [Seen(kind, a_colour(rng, kind))] if rng.random() < 1 / 3 else []
    shown = _stage(rng, "surface", things, chosen, biome)
    told = attributes(rng, shown, chosen)
    place = rng.choice(PLACES[biome])[0]
    if things:
        place = f"{place} with {named(*things[0][:2])}"
    text = rng.choice((f"{place} {told}", f"a view of {place} {told}", f"a wide view {told}: {place}"))
    atoms = (BiomeAtom(biome=biome), *scene_atoms(shown, chosen), *present(things), *colours(things))
    return [Made(tidy(text), atoms, shown)]


def complex_prompt(rng: random.Random, number: int) -> list[Made]:
    """Coloured things with a relation or a count, a biome, and one or two scene attributes."""
    chosen = rng.sample(_ATTRIBUTES, rng.choice((1, 2)))
    if number % 2:
        shown, text, atoms = _counted(rng, chosen)
    else:
        shown, text, atoms = _two_related(rng, chosen)
    told = attributes(rng, shown, chosen)
    text = rng.choice((f"{text} {told}", f"a wide view {told}: {text}", f"{text}, {told}"))
    return [Made(tidy(text), (*atoms, *scene_atoms(shown, chosen)), shown)]


def scene_atoms(shown: Scene, chosen: Sequence[str]) -> list[Atom]:
    """Atoms of the attributes that a prompt names, in a fixed order."""
    atoms: list[Atom] = [TimeAtom(time=shown.time)] if "time" in chosen else []
    atoms += [WeatherAtom(weather=shown.weather)] if "weather" in chosen else []
    return atoms + ([MountainsAtom(mountains=shown.mountains)] if "mountains" in chosen else [])


def _stage(rng: random.Random, view: str, things: Sequence[Seen], chosen: Sequence[str], biome: str = "") -> Scene:
    mountains = rng.random() >= _BARE_SHARE if "mountains" in chosen else None
    return stage(rng, view, things, mountains=mountains, biome=biome or None)


def _two_related(rng: random.Random, chosen: Sequence[str]) -> tuple[Scene, str, list[Atom]]:
    """Two coloured things, side by side or one over the other."""
    layout = rng.choice((Layout("surface", (2,)), Layout("surface", (2,)), Layout("sky and surface", (1, 1))))
    shown = _stage(rng, layout.view, cast(rng, layout, coloured_only=True), chosen)
    one, other = shown.things
    flat = layout.view == "surface"
    first: Relation = "left_of" if flat else "above"
    second: Relation = "right_of" if flat else "below"
    relation, told = rng.choice(((first, (one, other)), (second, (other, one))))
    text = relation_phrase(rng, relation, [named(thing.kind, thing.colour) for thing in told])
    things = tuple(Thing(kind=thing.kind) for thing in told)
    atom = RelationAtom(relation=relation, thing=things[0], others=things[1:])
    return shown, text, [*present(told), *colours(told), atom]


def _counted(rng: random.Random, chosen: Sequence[str]) -> tuple[Scene, str, list[Atom]]:
    """Two of a kind in one colour and another thing, with the places where they are."""
    one, other = cast(rng, Layout("surface", (2,)), coloured_only=True)
    orders = [[one, one, other], [other, one, one]]
    if HOME[one.kind] == HOME[other.kind]:
        orders.append([one, other, one])
    shown = _stage(rng, "surface", rng.choice(orders), chosen)
    names = (named(one.kind, one.colour, 2), named(other.kind, other.colour))
    text = placed_groups(rng, [(HOME[one.kind], names[0]), (HOME[other.kind], names[1])])
    counted = CountAtom(thing=Thing(kind=one.kind), count=2)
    return shown, text, [*present([other]), counted, *colours((one, other)), *biomes(shown.things)]
