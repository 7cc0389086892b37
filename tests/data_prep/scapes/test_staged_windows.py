"""Windows that are put together: more things side by side than the world shows, with the facts of any window."""

from pathlib import Path

import numpy as np
import pytest

from data_prep.scapes.corpus import Corpus
from data_prep.scapes.staged_windows import StagedPlace
from data_prep.scapes.staging import SURFACE_KINDS
from data_prep.scapes.windows import mixed_place, random_place

NUMBER = 200


def _on_the_surface(facts) -> int:
    return sum(thing.kind in SURFACE_KINDS for thing in facts.objects)


def test_staged_windows_show_one_to_four_things_and_often_three_in_a_row() -> None:
    facts = [StagedPlace(0, index).facts() for index in range(NUMBER)]
    assert {len(each.objects) for each in facts} == {1, 2, 3, 4}
    in_a_row = sum(_on_the_surface(each) == 3 for each in facts)
    by_itself = sum(_on_the_surface(random_place(index, seed=0).facts()) == 3 for index in range(NUMBER))
    assert in_a_row > 10 * max(1, by_itself)


def test_a_share_of_a_sample_is_staged_and_the_rest_is_where_it_was() -> None:
    places = [mixed_place(index, seed=3, staged_share=0.3) for index in range(NUMBER)]
    staged = [index for index, place in enumerate(places) if isinstance(place, StagedPlace)]
    assert len(staged) == pytest.approx(0.3 * NUMBER, rel=0.3)
    others = {index: place for index, place in enumerate(places) if index not in staged}
    assert others == {index: random_place(index, seed=3) for index in others}


def test_a_corpus_of_a_share_has_its_own_file(tmp_path: Path) -> None:
    plain, mixed = Corpus(tmp_path, 8), Corpus(tmp_path, 8, staged_share=0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["windows-staged0.5.npy", "windows.npy"]
    for index, place in enumerate(mixed.places):
        np.testing.assert_array_equal(mixed.windows[index], place.render())
        assert mixed.facts(index) == place.facts()
    assert plain.places != mixed.places
    assert [len(mixed.captions(index)) for index in range(8)] == [6] * 8
