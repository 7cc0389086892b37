"""What every category makes: a text with its atoms and the scene that shows it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from data_prep.scapes.staging import HOME, Scene, Seen
from lit_outpaint.data.prompts import Atom, BiomeAtom, ColourAtom, PresentAtom


class Made(NamedTuple):
    """A prompt before it has an id."""

    text: str
    atoms: tuple[Atom, ...]
    scene: Scene


def present(things: Iterable[Seen]) -> list[Atom]:
    """That each kind is there."""
    return [PresentAtom(kind=kind) for kind in dict.fromkeys(thing.kind for thing in things)]


def colours(things: Sequence[Seen]) -> list[Atom]:
    """That each coloured thing has its colour, and none another one."""
    pairs = dict.fromkeys((thing.kind, thing.colour) for thing in things if thing.colour)
    return [
        ColourAtom(kind=kind, colour=colour, allowed=tuple(c for k, c in pairs if k == kind and c))
        for kind, colour in pairs
        if colour
    ]


def biomes(things: Iterable[Seen]) -> list[Atom]:
    """That the ground is where surface things stand."""
    return [BiomeAtom(biome=home) for home in dict.fromkeys(HOME[t.kind] for t in things if t.kind in HOME)]
