import pytest

from eval.compbench.atoms import answers, holds
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
    SideAtom,
    Thing,
    TimeAtom,
    WeatherAtom,
)


def _reading(*pieces: Piece) -> Reading:
    return Reading(
        time="day",
        weather="clear",
        mountains=False,
        biomes={"meadow": 0.8, "lake": 0.2},
        objects=frozenset((piece.kind, piece.colour) for piece in pieces),
        pieces=pieces,
    )


RED_BARN = Piece("barn", "red", 200, x=0.2, y=0.8)
BLUE_BARN = Piece("barn", "blue", 100, x=0.8, y=0.8)
TENT = Piece("tent", "blue", 150, x=0.5, y=0.3)
READING = _reading(RED_BARN, BLUE_BARN, TENT)


@pytest.mark.parametrize(
    ("atom", "true"),
    [
        (PresentAtom(kind="barn"), True),
        (PresentAtom(kind="igloo"), False),
        (CountAtom(thing=Thing(kind="barn"), count=2), True),
        (CountAtom(thing=Thing(kind="barn"), count=1), False),
        (CountAtom(thing=Thing(kind="barn", colour="red"), count=1), True),
        (CountAtom(thing=Thing(kind="igloo"), count=1), False),
        (TimeAtom(time="day"), True),
        (TimeAtom(time="night"), False),
        (WeatherAtom(weather="clear"), True),
        (WeatherAtom(weather="cloudy"), False),
        (MountainsAtom(mountains=False), True),
        (MountainsAtom(mountains=True), False),
        (BiomeAtom(biome="lake"), True),
        (BiomeAtom(biome="desert"), False),
    ],
)
def test_plain_statements_are_answered_from_the_reading(atom: Atom, true: bool) -> None:
    assert holds(atom, READING) is true


@pytest.mark.parametrize(
    ("colour", "allowed", "true"),
    [("red", ("red", "blue"), True), ("red", ("red",), False), ("yellow", ("yellow",), False)],
)
def test_colour_holds_only_when_no_other_colour_is_seen_than_the_prompt_gives(
    colour: str, allowed: tuple[str, ...], true: bool
) -> None:
    assert holds(ColourAtom(kind="barn", colour=colour, allowed=allowed), READING) is true


def test_piece_without_a_readable_colour_spoils_no_other() -> None:
    reading = _reading(RED_BARN, Piece("barn", None, 20, 0.5, 0.5))
    assert holds(ColourAtom(kind="barn", colour="red", allowed=("red",)), reading)


@pytest.mark.parametrize(
    ("relation", "inverse"), [("left_of", "right_of"), ("above", "below"), ("right_of", "left_of"), ("below", "above")]
)
def test_relation_holds_one_way_alone_and_its_inverse_the_other(relation: Relation, inverse: Relation) -> None:
    one, other = Thing(kind="barn"), Thing(kind="tent")
    straight = holds(RelationAtom(relation=relation, thing=one, others=(other,)), READING)
    assert holds(RelationAtom(relation=inverse, thing=one, others=(other,)), READING) is not straight
    assert holds(RelationAtom(relation=inverse, thing=other, others=(one,)), READING) is straight
    # The red barn, the larger one, stands on the left of the tent and below it.
    assert straight is (relation in ("left_of", "below"))


def test_relation_needs_both_things_and_a_clear_offset() -> None:
    atom = RelationAtom(relation="left_of", thing=Thing(kind="barn"), others=(Thing(kind="igloo"),))
    assert not holds(atom, READING)
    near = _reading(RED_BARN, Piece("tent", None, 100, RED_BARN.x + 0.05, 0.8))
    close = RelationAtom(relation="left_of", thing=Thing(kind="barn"), others=(Thing(kind="tent"),))
    assert not holds(close, near)
    assert holds(close, near, AtomRules(min_offset=0.04))


def test_between_takes_one_thing_of_each_side() -> None:
    barns = (Thing(kind="barn"), Thing(kind="barn"))
    assert holds(RelationAtom(relation="between", thing=Thing(kind="tent"), others=barns), READING)
    tents = (Thing(kind="tent"), Thing(kind="barn", colour="blue"))
    red = Thing(kind="barn", colour="red")
    assert not holds(RelationAtom(relation="between", thing=red, others=tents), READING)


@pytest.mark.parametrize(("side", "true"), [("left", True), ("middle", False), ("right", False)])
def test_side_is_that_of_the_largest_piece(side: str, true: bool) -> None:
    atom = SideAtom.model_validate({"thing": {"kind": "barn"}, "side": side})
    assert holds(atom, READING) is true


def test_nothing_seen_answers_no_to_all_but_the_absence_of_mountains() -> None:
    blank = Reading(time=None, weather=None, mountains=False)
    atoms = (
        PresentAtom(kind="barn"),
        ColourAtom(kind="barn", colour="red", allowed=("red",)),
        SideAtom(thing=Thing(kind="barn"), side="left"),
        TimeAtom(time="day"),
        BiomeAtom(biome="lake"),
        MountainsAtom(mountains=False),
    )
    assert answers(atoms, blank) == [False] * 5 + [True]


def test_rules_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"min_offset.*0"):
        AtomRules(min_offset=0)
