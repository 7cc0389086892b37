"""Damaged samples: another sample of the set takes the place of each, so that batches keep their size.

Which one follows from seed, epoch and place alone, never from what a process has met before. So every rank makes as
many steps as the others, a run that goes on sees the batches that it would have seen, and batches do not depend on how
many ranks share them.
"""

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Int

from lit_outpaint.data.order import SampleRef
from lit_outpaint.data.schema import ShardError

NEARBY_TRIES: Final = 8
"""So many stand-ins come from the shard of the damaged sample, which is at hand; after them they come from any."""
MOST_TRIES: Final = 100
"""After so many damaged samples in a row the set itself is at fault."""

log = logging.getLogger(__name__)


class DamagedSample(ShardError):
    """A sample of a batch cannot be read; the message says why, not which it is."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row = row
        """Its place among the samples that were asked for."""


class Damage(NamedTuple):
    """A sample that could not be read."""

    position: int
    """Its place in the index."""
    name: str
    """Its key and its shard."""
    why: str


class Loaded(NamedTuple):
    """What a worker hands over."""

    batch: Any
    """What the dataset makes of some samples."""
    damage: tuple[Damage, ...] = ()
    """What was met on the way."""


def load_whole(
    load: Callable[[Sequence[SampleRef]], Any],
    refs: Sequence[SampleRef],
    seed: int,
    shards: Int[np.ndarray, " n"],
    name_of: Callable[[int], str],
) -> Loaded | ShardError:
    """Load a batch, with others in the place of damaged samples.

    Args:
        load: makes a batch of some samples, or raises `DamagedSample`.
        refs: the samples.
        seed: of the run.
        shards: number of each sample's shard.
        name_of: key and shard of a sample by its place, for messages.

    Returns:
        The batch. Or the error of a set that is of no use: returned, since a loader process that raises would wrap it
        in a traceback.
    """
    wanted, tries, damage = list(refs), [0] * len(refs), list[Damage]()
    while True:
        try:
            return Loaded(load(wanted), tuple(damage))
        except DamagedSample as fault:
            row = fault.row
            damage.append(Damage(wanted[row].position, name_of(wanted[row].position), str(fault)))
            if tries[row] == MOST_TRIES:
                last = f"{MOST_TRIES} samples in a row are damaged, such as {damage[-1].name}: {fault}"
                return ShardError(f"{last}; prepare the set again")
            wanted[row] = stand_in(refs[row], tries[row], seed, shards)
            tries[row] += 1
        except ShardError as error:
            return error


def stand_in(ref: SampleRef, tried: int, seed: int, shards: Int[np.ndarray, " n"]) -> SampleRef:
    """Another sample in the place of a damaged one; it does not count where samples are counted.

    Args:
        ref: the damaged one.
        tried: how many stand-ins were damaged, too.
        seed: of the run.
        shards: number of each sample's shard.
    """
    digest = hashlib.sha256(f"stand-in:{seed}:{ref.epoch}:{ref.position}:{tried}".encode()).digest()
    number = int.from_bytes(digest[:8])
    if tried >= NEARBY_TRIES:
        return SampleRef(number % len(shards), ref.epoch, fills=True)
    nearby = np.flatnonzero(shards == shards[ref.position])
    return SampleRef(int(nearby[number % len(nearby)]), ref.epoch, fills=True)


class DamageLog:
    """Names each damaged sample once and counts them; ends a run that meets too many."""

    def __init__(self, samples: int, most_share: float) -> None:
        """Begin to count.

        Args:
            samples: of the split.
            most_share: of them that may be damaged; at least one may, unless it is 0.
        """
        self.samples, self.most_share = samples, most_share
        self.most = math.ceil(samples * most_share)
        self._met: set[int] = set()

    def __len__(self) -> int:
        return len(self._met)

    def add(self, damage: Iterable[Damage]) -> None:
        """Take note of what was met.

        Raises:
            ShardError: it is too much.
        """
        for one in damage:
            if one.position in self._met:
                continue
            self._met.add(one.position)
            if len(self._met) > self.most:
                raise ShardError(
                    f"{len(self._met)} of {self.samples} samples are damaged, more than data.max_damaged"
                    f" {self.most_share:g} allows; prepare it again, or raise that. The last is {one.name}: {one.why}"
                )
            log.warning(
                "%s is damaged, another sample takes its place: %s (%d so far)", one.name, one.why, len(self._met)
            )
