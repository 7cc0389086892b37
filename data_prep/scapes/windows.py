"""Random windows of random worlds: the one sampling rule that every training script and the shard writer share."""

import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Self

import numpy as np

from data_prep.scapes.staged_windows import StagedPlace
from data_prep.scapes.world import WINDOW, Facts, World
from lit_outpaint.system.threads import usable_processors

SURFACE_SHARE = 0.7
"""Share of windows that sit exactly on the surface band, unless told; the rest lie somewhere above or below it."""


@dataclass(frozen=True)
class Place:
    """Where a window is cut from: world seed and upper left corner, px."""

    world: int
    x: int
    y: int

    def __str__(self) -> str:
        return f"world {self.world} at {self.x},{self.y}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote.

        >>> Place.parse("world 8 at -5,128")
        Place(world=8, x=-5, y=128)

        Raises:
            ValueError: it is something else.
        """
        match = re.fullmatch(r"world (\d+) at (-?\d+),(-?\d+)", text)
        if match is None:
            raise ValueError(f"a window of the scapes world is called 'world N at X,Y', got {text[:80]!r}")
        return cls(*map(int, match.groups()))

    def render(self) -> np.ndarray:
        """The picture, uint8 ``(128, 128, 3)``."""
        return World(self.world).render(self.x, self.y)

    def facts(self) -> Facts:
        """What is true of the window."""
        return World(self.world).facts(self.x, self.y)


def random_place(index: int, *, seed: int, held_out: bool = False, surface_share: float = SURFACE_SHARE) -> Place:
    """Place of window ``index`` of the sample ``seed``.

    Training worlds have even seeds and held-out worlds odd ones, so the two can never share a world.
    """
    rng = np.random.default_rng((seed, index, held_out))
    world = 2 * int(rng.integers(0, 1 << 30)) + held_out
    x, above, height = int(rng.integers(-(1 << 20), 1 << 20)), rng.random() < 0.5, int(rng.integers(1, 257))
    on_surface = rng.random() < surface_share
    return Place(world, x, 0 if on_surface else -height if above else height)


def mixed_place(index: int, *, seed: int, held_out: bool = False, staged_share: float = 0.0) -> Place | StagedPlace:
    """Window ``index`` of a sample of which a share is staged; the others are where `random_place` has them."""
    if staged_share and np.random.default_rng((seed, index, held_out, 1)).random() < staged_share:
        return StagedPlace(seed, index)
    return random_place(index, seed=seed, held_out=held_out)


def rendered_windows(
    path: Path,
    count: int,
    *,
    seed: int,
    held_out: bool = False,
    staged_share: float = 0.0,
    workers: int | None = None,
) -> tuple[np.ndarray, list[Place | StagedPlace]]:
    """Windows ``0 .. count - 1`` of a sample as a memory map, uint8 ``(count, 128, 128, 3)``.

    Rendered once, on all cores unless told how many; later calls for as many or fewer reuse the file, so each share
    that is staged needs a file of its own.

    Raises:
        ValueError: the file holds fewer windows than asked for.
    """
    places = [mixed_place(i, seed=seed, held_out=held_out, staged_share=staged_share) for i in range(count)]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        store = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(count, WINDOW, WINDOW, 3))
        for i, picture in enumerate(_render_all(places, workers)):
            store[i] = picture
        store.flush()
        partial.rename(path)
    store = np.load(path, mmap_mode="r")
    if len(store) < count:
        raise ValueError(f"{path} must hold at least {count} windows, it holds {len(store)}; delete it to render again")
    return store[:count], places


def _render_all(places: list[Place | StagedPlace], workers: int | None) -> Iterator[np.ndarray]:
    with ProcessPoolExecutor(workers or usable_processors()) as pool:
        yield from pool.map(methodcaller("render"), places, chunksize=64)
