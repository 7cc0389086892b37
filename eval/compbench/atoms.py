"""Whether a statement of a prompt holds in a picture, from the judge's reading of it.

Definitions (pieces are connected pieces of one object kind, see `eval.judge`; shares are of the view):

- **present**: at least one piece of the kind.
- **colour**: a piece of the kind in that colour, and no piece of it in a colour that the prompt gives to none of them.
- **count**: exactly this many pieces of the kind, or of the kind in a colour.
- **relation**: of the largest pieces of the things: their centres differ by at least ``min_offset``, the right way.
  ``between`` asks for any piece with one of each other thing to the left and to the right of it.
- **side**: the centre of the largest piece lies in the left half, in the right half, or in the middle half.
- **time, weather, mountains**: as read.
- **biome**: it covers at least ``min_biome_share`` of the ground.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from eval.compbench.config import AtomRules
from eval.readings import Piece, Reading
from lit_outpaint.data.prompts import (
    Atom,
    BiomeAtom,
    ColourAtom,
    CountAtom,
    MountainsAtom,
    PresentAtom,
    Relation,
    RelationAtom,
    Side,
    SideAtom,
    Thing,
    TimeAtom,
    WeatherAtom,
)

_SIDES: Final[dict[Side, tuple[float, float]]] = {"left": (0.0, 0.5), "middle": (0.25, 0.75), "right": (0.5, 1.0)}


def holds(atom: Atom, reading: Reading, rules: AtomRules = AtomRules()) -> bool:
    """Whether a statement is true of a picture."""
    match atom:
        case PresentAtom():
            return atom.kind in reading.kinds
        case ColourAtom():
            colours = {piece.colour for piece in reading.pieces if piece.kind == atom.kind}
            return atom.colour in colours and not colours - {None, *atom.allowed}
        case CountAtom():
            return len(_matching(reading, atom.thing)) == atom.count
        case RelationAtom():
            return _related(atom.relation, [_matching(reading, each) for each in (atom.thing, *atom.others)], rules)
        case SideAtom():
            low, high = _SIDES[atom.side]
            return any(low <= piece.x <= high for piece in _largest(_matching(reading, atom.thing)))
        case TimeAtom():
            return reading.time == atom.time
        case WeatherAtom():
            return reading.weather == atom.weather
        case MountainsAtom():
            return reading.mountains == atom.mountains
        case BiomeAtom():
            return reading.biomes.get(atom.biome, 0.0) >= rules.min_biome_share


def answers(atoms: Iterable[Atom], reading: Reading, rules: AtomRules = AtomRules()) -> list[bool]:
    """The answer to each statement of a prompt."""
    return [holds(atom, reading, rules) for atom in atoms]


def _matching(reading: Reading, thing: Thing) -> list[Piece]:
    return [p for p in reading.pieces if p.kind == thing.kind and thing.colour in (None, p.colour)]


def _largest(pieces: Sequence[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda piece: -piece.num_px)[:1]


def _related(relation: Relation, seen: Sequence[Sequence[Piece]], rules: AtomRules) -> bool:
    if relation == "between":
        middle, one, other = seen
        return any(_between(a.x, b.x, c.x, rules.min_offset) for a in middle for b in one for c in other)
    pairs = [(a, b) for a in _largest(seen[0]) for b in _largest(seen[1])]
    offsets = {
        "left_of": [b.x - a.x for a, b in pairs],
        "right_of": [a.x - b.x for a, b in pairs],
        "above": [b.y - a.y for a, b in pairs],
        "below": [a.y - b.y for a, b in pairs],
    }
    return any(offset >= rules.min_offset for offset in offsets[relation])


def _between(a: float, b: float, c: float, offset: float) -> bool:
    return min(b, c) + offset <= a <= max(b, c) - offset
