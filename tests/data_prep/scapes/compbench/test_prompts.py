import re
from collections import Counter

import pytest

from data_prep.scapes.compbench.dense import MAX_WORDS, MIN_WORDS
from data_prep.scapes.compbench.prompts import Staged, make_prompts
from data_prep.scapes.palette import COLOURS
from lit_outpaint.data.prompts import CATEGORIES, ColourAtom, CountAtom, PresentAtom, RelationAtom


@pytest.fixture(scope="module")
def rows() -> list[Staged]:
    return make_prompts(0, 60)


def _of(rows: list[Staged], category: str) -> list[Staged]:
    return [row for row in rows if row.prompt.category == category]


def test_fewer_prompts_are_the_first_of_more_and_a_seed_is_enough(rows: list[Staged]) -> None:
    fewer = make_prompts(0, 7, ["colour"])
    assert fewer == _of(rows, "colour")[:7]
    assert make_prompts(1, 7, ["colour"]) != fewer


def test_every_category_has_its_prompts_and_none_says_the_same(rows: list[Staged]) -> None:
    assert Counter(row.prompt.category for row in rows) == dict.fromkeys(CATEGORIES, 60)
    texts = [row.prompt.prompt for row in rows]
    ids = [row.prompt.id for row in rows]
    assert len(set(ids)) == len(ids)
    for category in CATEGORIES:
        own = [text for text, row in zip(texts, rows, strict=True) if row.prompt.category == category]
        assert len(set(own)) == len(own)


def test_presence_asks_for_one_to_four_kinds(rows: list[Staged]) -> None:
    asked = [sum(isinstance(atom, PresentAtom) for atom in row.prompt.atoms) for row in _of(rows, "presence")]
    assert set(asked) == {1, 2, 3, 4}


def test_colours_of_a_pair_are_swapped_and_nothing_else(rows: list[Staged]) -> None:
    pairs: dict[str, list[Staged]] = {}
    for row in _of(rows, "colour"):
        pairs.setdefault(str(row.prompt.pair), []).append(row)
    assert {len(pair) for pair in pairs.values()} == {2}
    assert {len(pair[0].scene.things) for pair in pairs.values()} == {2, 3}
    for one, other in pairs.values():
        without = [re.sub("|".join(COLOURS), "X", row.prompt.prompt) for row in (one, other)]
        assert without[0] == without[1]
        colours = [[atom.colour for atom in row.prompt.atoms if isinstance(atom, ColourAtom)] for row in (one, other)]
        assert sorted(colours[0]) == sorted(colours[1])
        assert all(a != b for a, b in zip(*colours, strict=True))
        assert one.scene.places == other.scene.places


def test_spatial_asks_for_every_relation_and_its_contradiction(rows: list[Staged]) -> None:
    relations = Counter(
        atom.relation for r in _of(rows, "spatial") for atom in r.prompt.atoms if isinstance(atom, RelationAtom)
    )
    assert set(relations) == {"left_of", "right_of", "above", "below", "between"}
    assert sum(row.prompt.pair is not None for row in _of(rows, "spatial")) >= 50


def test_counting_counts_to_four(rows: list[Staged]) -> None:
    counts = {atom.count for r in _of(rows, "counting") for atom in r.prompt.atoms if isinstance(atom, CountAtom)}
    assert counts == {1, 2, 3, 4}


def test_complex_prompts_have_three_kinds_of_atoms(rows: list[Staged]) -> None:
    assert min(len({atom.type for atom in row.prompt.atoms}) for row in _of(rows, "complex")) >= 3


def test_dense_prompts_keep_their_length_and_name_things_late(rows: list[Staged]) -> None:
    words = [row.prompt.prompt.split() for row in _of(rows, "dense")]
    assert MIN_WORDS <= min(map(len, words)) <= max(map(len, words)) <= MAX_WORDS
    kinds = [row.scene.things[-1].kind for row in _of(rows, "dense")]
    places = [
        row.prompt.prompt.lower().find(kind) / len(row.prompt.prompt)
        for row, kind in zip(_of(rows, "dense"), kinds, strict=True)
    ]
    assert max(places) > 0.8


def test_more_prompts_than_there_are_is_told() -> None:
    with pytest.raises(ValueError, match="counting"):
        make_prompts(0, 20_000, ["counting"])
