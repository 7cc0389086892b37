"""Which sample comes when: pure functions of (seed, epoch), so that any position can be taken up again.

Source of the bounded shuffle: the buffers of webdataset's ``shuffle``, made a permutation that is known beforehand.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class SampleRef(NamedTuple):
    """Which sample a worker is to load."""

    position: int
    """Its place in the index."""
    epoch: int
    """Decides its view."""
    fills: bool = False
    """Whether it is padding, repeated to keep ranks in step, or stands in for a damaged one; then it does not count."""


def full_order(num_samples: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """A permutation of all samples; every one is as likely to come next as any other."""
    return _source(seed, epoch).permutation(num_samples)


def bounded_order(shards: Int[np.ndarray, " n"], buffer: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """Shards in random order, read from front to back, their samples mixed within a buffer that slides along.

    Args:
        shards: number of each sample's shard, in the order of the index.
        buffer: a sample comes fewer than this many places before or after its place in the unmixed order.
        seed: of the run.
        epoch: every epoch has another order.

    Returns:
        Places in the index, in the order in which they are read.
    """
    source = _source(seed, epoch)
    turns = source.permutation(int(shards.max(initial=-1)) + 1)
    in_turn = np.argsort(turns[shards], kind="stable")
    # Whoever is more than a buffer ahead stays ahead; the rest is left to chance.
    return in_turn[np.argsort(np.arange(len(shards)) + source.uniform(0, buffer, len(shards)), kind="stable")]


def _source(seed: int, epoch: int) -> np.random.Generator:
    # Not a torch generator: on the CPU it keeps 32 bits of its seed only.
    return np.random.default_rng((seed, epoch))
