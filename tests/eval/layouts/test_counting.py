from collections import Counter

import numpy as np
import pytest

from data_prep.scapes.palette import LABEL_BIOMES, LABEL_COLOURS, LABEL_KINDS, LABEL_SKIES
from data_prep.scapes.rectangles import rectangle
from data_prep.scapes.world import World
from eval.judge import read_labels
from eval.layouts.counting import count, named_things
from eval.layouts.reading import parts
from eval.readings import ClassNames, JudgeConfig, LabelMaps, Piece

NAMES = ClassNames(LABEL_KINDS, LABEL_COLOURS, LABEL_BIOMES, LABEL_SKIES)
SIZE, WINDOW = (512, 256), 128


def piece(kind: str, colour: str | None, x0: int, y0: int, width: int = 40, height: int = 48) -> Piece:
    """A piece by its upper left corner, px."""
    box = (x0 / SIZE[0], y0 / SIZE[1], (x0 + width) / SIZE[0], (y0 + height) / SIZE[1])
    return Piece(kind, colour, width * height // 4, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box)


def test_the_things_of_a_caption_are_those_that_it_was_made_of() -> None:
    for number in range(40):
        _, caption, things = rectangle(0, number)
        assert named_things(caption, NAMES) == Counter((thing.kind, thing.colour) for thing in things), caption


def test_counts_repeated_and_missing_things() -> None:
    named = named_things("a meadow with two red barns, and a desert with a cactus and a blue tent", NAMES)
    assert named == {("barn", "red"): 2, ("cactus", None): 1, ("tent", "blue"): 1}
    seen = [
        piece("barn", "red", 0, 60),
        piece("barn", "red", 60, 60),
        piece("barn", "yellow", 120, 60),
        piece("cactus", None, 180, 60),
        piece("flag", "red", 240, 60),
    ]
    counted = count(named, seen, SIZE, WINDOW)
    assert (counted.named, counted.right) == (3, 2)
    assert (counted.repeated, counted.stacked, counted.flawed) == (1, 0, 1)
    assert (counted.missing, counted.unasked) == (1, 1)


@pytest.mark.parametrize(
    ("below", "num_stacked"),
    [((10, 110), 1), ((30, 110), 0), ((10, 120), 0), ((10, 70), 1)],
    ids=["touching", "beside", "apart", "overlapping"],
)
def test_one_of_two_things_above_each_other_is_stacked(below: tuple[int, int], num_stacked: int) -> None:
    seen = [piece("barn", "red", 0, 60), piece("tent", "blue", *below, width=30, height=40)]
    counted = count(Counter({("barn", "red"): 1, ("tent", "blue"): 1}), seen, SIZE, WINDOW)
    assert (counted.stacked, counted.flawed) == (num_stacked, num_stacked)


def test_a_thing_as_high_as_two_is_stacked_and_counts_once() -> None:
    seen = [piece("barn", "red", 0, 60, height=90), piece("barn", "red", 100, 60)]
    counted = count(Counter({("barn", "red"): 1}), seen, SIZE, WINDOW)
    assert (counted.stacked, counted.repeated, counted.flawed) == (1, 1, 2)


def test_nothing_is_stacked_in_the_world() -> None:
    for seed in range(4):
        labels = World(seed).labels(0, -128, *SIZE[:1], 384)
        maps = LabelMaps(*(getattr(labels, name)[::2, ::2].astype(np.int64) for name in LabelMaps._fields))
        pieces = read_labels(maps, NAMES, JudgeConfig()).pieces
        assert len(pieces) > 20
        assert count(Counter(), pieces, (SIZE[0], 384), WINDOW).stacked == 0


@pytest.mark.parametrize("length", [128, 130, 192, 511])
def test_parts_cover_a_length_once_and_lie_in_their_windows(length: int) -> None:
    found = parts(length, WINDOW)
    assert [part.start for part in found] == [0, *(part.stop for part in found[:-1])]
    assert found[-1].stop == length
    assert all(part.begin <= part.start < part.stop <= part.begin + WINDOW for part in found)
