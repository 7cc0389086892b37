"""The spatial category: left of, right of, above, below and between, each with its contradiction where there is one."""

import random
from collections.abc import Sequence
from typing import Final

from data_prep.scapes.casting import Layout, a_colour, cast, kinds_of
from data_prep.scapes.compbench.made import Made, colours, present
from data_prep.scapes.compbench.wording import named, opened, relation_phrase, tidy
from data_prep.scapes.palette import BIOME_KINDS, COLOURS, UNDERGROUND_KINDS
from data_prep.scapes.staging import HOME, Seen, stage
from lit_outpaint.data.prompts import Atom, CountAtom, Relation, RelationAtom, Thing

_LAYERS_SHARE: Final = 0.25
"""How often above and below ask for two layers, where the world leaves no choice."""


def spatial(rng: random.Random, number: int) -> list[Made]:
    """Two prompts of the same things that contradict each other; one where the world leaves no choice."""
    return (_side_by_side, _one_over_other, _in_the_middle)[number % 3](rng)


def _side_by_side(rng: random.Random) -> list[Made]:
    layout = rng.choice((Layout("surface", (2,)), Layout("surface", (2,)), Layout("underground", (2, 0))))
    one, other = cast(rng, layout)
    relation: Relation = rng.choice(("left_of", "right_of"))
    wording = rng.getrandbits(32)
    return [
        _related(wording, layout.view, [a, b] if relation == "left_of" else [b, a], relation, (a, b))
        for a, b in ((one, other), (other, one))
    ]


def _one_over_other(rng: random.Random) -> list[Made]:
    """Of two rows of one layer, or of two layers."""
    relation: Relation = rng.choice(("above", "below"))
    wording = rng.getrandbits(32)
    draw = rng.random()
    if draw < _LAYERS_SHARE:
        layout = rng.choice((Layout("sky and surface", (1, 1)), Layout("surface and underground", (1, 1))))
        upper, lower = cast(rng, layout)
        told = (upper, lower) if relation == "above" else (lower, upper)
        return [_related(wording, layout.view, [upper, lower], relation, told)]
    if draw < 2 * _LAYERS_SHARE:
        view, things = "sky", [Seen("balloon", colour) for colour in rng.sample(list(COLOURS), 2)]
    else:
        view, things = "underground", [Seen(kind, a_colour(rng, kind)) for kind in rng.sample(UNDERGROUND_KINDS, 2)]
    made = []
    for a, b in (things, things[::-1]):
        upper, lower = (a, b) if relation == "above" else (b, a)
        made.append(_related(wording, view, [upper, lower._replace(row=1)], relation, (a, b)))
    return made


def _in_the_middle(rng: random.Random) -> list[Made]:
    """Of three kinds: who is in the middle changes. Of two: one between two of the other."""
    wording = rng.getrandbits(32)
    draw = rng.random()
    if draw < 0.4:
        one, other = rng.sample(BIOME_KINDS[rng.choice(list(BIOME_KINDS))], 2)
        return [_between_two(wording, *kinds) for kinds in ((one, other), (other, one))]
    if draw < 0.7:
        view, kinds = "underground", rng.sample(UNDERGROUND_KINDS, 3)
    else:
        # The first two share a biome, so that either may be in the middle.
        home = rng.choice(list(BIOME_KINDS))
        strangers = [kind for kind in kinds_of(Layout("surface", (3,)), 0) if HOME[kind] != home]
        view, kinds = "surface", [*rng.sample(BIOME_KINDS[home], 2), rng.choice(strangers)]
    things = [Seen(kind, a_colour(rng, kind)) for kind in kinds]
    orders = (things, [things[1], things[0], things[2]])
    return [_related(wording, view, order, "between", (order[1], order[0], order[2])) for order in orders]


def _between_two(wording: int, kind: str, other: str) -> Made:
    rng = random.Random(wording)
    things = [Seen(each, a_colour(rng, each)) for each in (other, kind, other)]
    scene = stage(rng, "surface", things)
    text = f"{named(kind)} between {named(other, count=2)}"
    flanks = (Thing(kind=other), Thing(kind=other))
    atoms: tuple[Atom, ...] = (
        *present(things[1:2]),
        CountAtom(thing=Thing(kind=other), count=2),
        RelationAtom(relation="between", thing=Thing(kind=kind), others=flanks),
    )
    return Made(tidy(opened(rng, text)), atoms, scene)


def _related(wording: int, view: str, order: Sequence[Seen], relation: Relation, told: Sequence[Seen]) -> Made:
    """A prompt of one relation; the same ``wording`` gives the same words and surroundings.

    Args:
        wording: seed.
        view: of `VIEWS`.
        order: the things as they stand.
        relation: that holds.
        told: the things as they are spoken of; colours are named only where kinds do not tell them apart.
    """
    rng = random.Random(wording)
    alike = len({thing.kind for thing in told}) < len(told)
    spoken = [Thing(kind=thing.kind, colour=thing.colour if alike else None) for thing in told]
    text = relation_phrase(rng, relation, [named(thing.kind, thing.colour) for thing in spoken])
    atom = RelationAtom(relation=relation, thing=spoken[0], others=tuple(spoken[1:]))
    bound = colours(order) if alike else []
    return Made(tidy(opened(rng, text)), (*present(order), *bound, atom), stage(rng, view, order))
