"""Which pairs are shown, under which opaque names, and in which order and places each rater sees them."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Trial(NamedTuple):
    """Two pictures of one item; the names say nothing of methods."""

    name: str
    item: str
    methods: tuple[int, int]
    """Indices of the methods, the smaller first; of an attention check the method of its picture, twice."""
    pictures: tuple[str, str]
    """Opaque names of the pictures of these methods; of an attention check the picture and its broken copy."""

    @property
    def is_check(self) -> bool:
        """Whether the answer is known: the first of ``pictures``."""
        return self.methods[0] == self.methods[1]


class Shown(NamedTuple):
    """One trial as one rater sees it."""

    trial: int
    """Index into the trials."""
    swapped: bool
    """Whether the second of its pictures comes first (left, or above)."""


def make_trials(num_methods: int, items: Sequence[str], num_checks: int, seed: int) -> list[Trial]:
    """All pairs of methods for every item, and attention checks, in an order and under names that tell nothing.

    Args:
        num_methods: at least 2.
        items: names of what every method has a picture of.
        num_checks: attention checks; their items and methods are drawn evenly.
        seed: of names, order and checks.
    """
    rng = np.random.default_rng([seed, 0])
    checked = [rng.permutation(len(items)) for _ in range(-(-num_checks // len(items)))]
    check_items = [int(index) for order in checked for index in order][:num_checks]
    methods = [(method, method) for method in rng.permutation(np.arange(num_checks) % num_methods).tolist()]
    bare = [(item, pair) for item in items for pair in combinations(range(num_methods), 2)]
    bare += [(items[index], pair) for index, pair in zip(check_items, methods, strict=True)]
    # A method's picture of an item has one name in all its trials; a broken copy has a name of its own.
    sources = sorted({(item, method, False) for item, pair in bare for method in pair})
    sources += [(item, pair[0], True) for item, pair in bare if pair[0] == pair[1]]
    order = rng.permutation(len(sources))
    names = {source: f"p{place:04d}" for source, place in zip(sources, order, strict=True)}
    shuffled = [bare[index] for index in rng.permutation(len(bare))]
    return [
        Trial(f"t{place:04d}", item, pair, (names[item, pair[0], False], names[item, pair[1], pair[0] == pair[1]]))
        for place, (item, pair) in enumerate(shuffled)
    ]


def plan(trials: Sequence[Trial], rater: int, seed: int) -> list[Shown]:
    """The order and places of one rater.

    Each method of a pair comes first in half of that pair's trials (but for one where they are odd in number), and
    raters 2k - 1 and 2k see the same pictures in opposite places.

    Args:
        trials: see ``make_trials``.
        rater: from 1.
        seed: of the study.
    """
    couple, opposite = divmod(rater - 1, 2)
    places = np.random.default_rng([seed, 1, couple])
    swapped = np.zeros(len(trials), dtype=bool)
    for kind in sorted({(trial.is_check, () if trial.is_check else trial.methods) for trial in trials}):
        members = [
            index
            for index, trial in enumerate(trials)
            if (trial.is_check, () if trial.is_check else trial.methods) == kind
        ]
        swapped[places.permutation(members)[: len(members) // 2]] = True
    order = np.random.default_rng([seed, 2, rater]).permutation(len(trials))
    return [Shown(int(index), bool(swapped[index]) != bool(opposite)) for index in order]


def broken(picture: Pixels, seed: int) -> Pixels:
    """A copy that nobody takes for the better one: its squares change places, and every other one its colours.

    Args:
        picture: ``(H, W, 3)``.
        seed: of the new places.
    """
    height, width = picture.shape[:2]
    side = max(min(height, width) // 4, 1)
    copy = picture.copy()
    corners = [(y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
    order = np.random.default_rng([seed, 3]).permutation(len(corners))
    for place, ((y, x), source) in enumerate(zip(corners, order, strict=True)):
        from_y, from_x = corners[source]
        square = picture[from_y : from_y + side, from_x : from_x + side]
        copy[y : y + side, x : x + side] = 255 - square if place % 2 else square
    return copy
