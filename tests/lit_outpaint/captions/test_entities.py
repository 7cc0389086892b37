import importlib.util

import pytest

from lit_outpaint.captions.entities import RuleParser, SpacyParser, tokens_of
from lit_outpaint.protocols import EntityParser


def _named(caption: str, parser: EntityParser = RuleParser()) -> list[tuple[str, str]]:
    return [(caption[slice(*pair.attribute)], caption[slice(*pair.entity)]) for pair in parser.pairs(caption)]


@pytest.mark.parametrize(
    ("caption", "pairs"),
    [
        ("a red barn", [("red", "barn")]),
        ("two red barns and a blue car in a town", [("red", "barns"), ("blue", "car")]),
        ("a yellow pine tree on the left", [("yellow", "pine tree")]),
        ("a large red wooden house", [("large", "house"), ("red", "house"), ("wooden", "house")]),
        ("a red and blue kite", [("red", "kite"), ("blue", "kite")]),
        ("A Yellow Tent can be seen, in the lower part", [("Yellow", "Tent")]),
        ("the old barn is red", [("old", "barn"), ("red", "barn")]),
        ("the light is bright", [("bright", "light")]),
        ("A black cat sleeping on a chair", [("black", "cat")]),
        ("a blue dining table", [("blue", "dining table")]),
        ("a red car drives past a house", [("red", "car")]),
        ("the house is old and red", [("old", "house"), ("red", "house")]),
        ("a car that is red", [("red", "car")]),
        ("a meadow with a barn", []),
        ("red, like nothing else", []),
        ("", []),
    ],
)
def test_attributes_find_their_things(caption: str, pairs: list[tuple[str, str]]) -> None:
    assert _named(caption) == pairs


def test_further_adjectives_can_be_named() -> None:
    assert _named("a crimson barn") == []
    assert _named("a crimson barn", RuleParser(attributes=("crimson",))) == [("crimson", "barn")]


def test_tokens_are_found_by_their_place() -> None:
    offsets = [(0, 0), (0, 1), (2, 5), (6, 8), (8, 10), (0, 0)]  # mark, a, red, ba, rn, mark
    assert tokens_of((2, 5), offsets) == [2]
    assert tokens_of((6, 10), offsets) == [3, 4]
    assert tokens_of((10, 12), offsets) == []


def test_both_are_parsers() -> None:
    assert isinstance(RuleParser(), EntityParser)
    assert isinstance(SpacyParser(), EntityParser)


def test_without_spacy_one_line_says_so() -> None:
    model = "no_such_model"
    assert importlib.util.find_spec(model) is None
    with pytest.raises(ValueError, match=r"SpacyParser needs spaCy with the model no_such_model.*RuleParser"):
        SpacyParser(model=model).pairs("a red barn")
