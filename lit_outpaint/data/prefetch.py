"""Fetches shards into the cache before loader workers ask for them."""

import logging
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from lit_outpaint.data.schema import ShardError

log = logging.getLogger(__name__)


class Turn(NamedTuple):
    """When a shard is needed first."""

    position: int
    """Of its first sample in the order of the epoch."""
    shard: int
    """Its number."""


def turns_of(shards: Int[np.ndarray, " n"]) -> list[Turn]:
    """When each shard is needed, first ones first.

    Args:
        shards: shard of each sample, in the order in which samples are read.

    >>> turns_of(np.array([4, 4, 2, 4, 2, 7]))
    [Turn(position=0, shard=4), Turn(position=2, shard=2), Turn(position=5, shard=7)]
    """
    numbers, first = np.unique(shards, return_index=True)
    return [Turn(int(first[place]), int(numbers[place])) for place in np.argsort(first)]


class Prefetch:
    """A thread that stays some shards ahead of the reading; a fault is left to who needs the shard."""

    def __init__(self, turns: Sequence[Turn], fetch: Callable[[int], object], ahead: int) -> None:
        """Configure.

        Args:
            turns: see `turns_of`.
            fetch: brings a shard here.
            ahead: how many shards that are not needed yet are fetched.
        """
        self._turns, self._fetch, self._ahead = turns, fetch, ahead
        self._goal, self._changed = 0, threading.Condition()

    def __enter__(self) -> "Prefetch":
        self.reached(0)
        if self._turns:
            threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not waited for: a shard that is being fetched may take a while, and will be of use.
        with self._changed:
            self._goal = -1
            self._changed.notify()

    def reached(self, position: int) -> None:
        """Say how far the reading is."""
        with self._changed:
            self._goal = bisect_right(self._turns, position, key=lambda turn: turn.position) + self._ahead
            self._changed.notify()

    def _run(self) -> None:
        for number, turn in enumerate(self._turns):
            with self._changed:
                self._changed.wait_for(lambda number=number: self._goal < 0 or number < self._goal)  # type: ignore[misc]
                if self._goal < 0:
                    return
            try:
                self._fetch(turn.shard)
            except ShardError as error:
                log.debug("not fetched ahead: %s", error)
                return
