"""The order of samples and the loader that continues where it stopped.

Batch ``g`` of an epoch is a slice of one permutation of all samples that depends on (seed, epoch) alone. A rank takes
its share *inside* that slice, so one rank with batch 2B and two ranks with batch B see the same global batches.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.damaged import DamageLog, Loaded
from lit_outpaint.data.order import SampleRef, bounded_order, full_order
from lit_outpaint.data.plain import PlainBatch, PlainDataset
from lit_outpaint.data.prefetch import Prefetch, turns_of
from lit_outpaint.data.reader import ShardDataset
from lit_outpaint.data.schema import ShardError
from lit_outpaint.data.slots import Slots
from lit_outpaint.data.worker_signals import shield

log = logging.getLogger(__name__)


class EpochSampler(DistributedSampler[SampleRef]):
    """One rank's part of the (seed, epoch) order.

    A ``DistributedSampler`` by type only: Lightning replaces every other sampler in a distributed run, and calls
    ``set_epoch`` on this one.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        buffer: int | None = None,
        shards: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Plan the batches.

        Args:
            num_samples: samples of the split.
            batch_size: samples per rank and step.
            shuffle: permute per epoch and drop the incomplete last batch (training), or keep the index order and fill
                the last global batch with the first samples of all, which do not count, so that ranks stay in step
                (validation).
            seed: of the permutation.
            buffer: samples that a bounded shuffle mixes (`bounded_order`); None permutes all of them.
            shards: number of each sample's shard, in the order of the index; what a buffer needs.
            rank: this process.
            world_size: number of processes.

        Raises:
            ValueError: training needs more samples than there are.
        """
        super().__init__(range(num_samples), num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)  # type: ignore[arg-type]
        self.total = num_samples
        self.buffer, self.sample_shards = buffer, shards
        self.batch_size = batch_size
        self.first_batch = 0
        self.global_batch = batch_size * world_size
        if shuffle:
            check_step_is_filled(num_samples, batch_size, world_size)

    def order(self, epoch: int) -> np.ndarray:
        """Indices of all samples in the order of one epoch, before ranks share them."""
        if not self.shuffle:
            return np.arange(self.total)
        if self.buffer is None:
            return full_order(self.total, self.seed, epoch)
        assert self.sample_shards is not None
        return bounded_order(self.sample_shards, self.buffer, self.seed, epoch)

    def __iter__(self) -> Iterator[SampleRef]:  # type: ignore[override]
        order = self.order(self.epoch)
        # Validation draws the view of epoch 0 always, so that its losses compare between epochs.
        epoch = self.epoch if self.shuffle else 0
        for start in range(self.first_batch * self.global_batch, self.total, self.global_batch):
            batch = order[start : start + self.global_batch].tolist()
            whole = len(batch)
            if whole < self.global_batch:
                if self.shuffle:
                    return
                batch += np.resize(order, -whole % self.num_replicas).tolist()
            share = len(batch) // self.num_replicas
            for place in range(self.rank * share, (self.rank + 1) * share):
                yield SampleRef(batch[place], epoch, fills=place >= whole)

    def __len__(self) -> int:
        full, rest = divmod(self.total, self.global_batch)
        return full * self.batch_size + (0 if self.shuffle else -(-rest // self.num_replicas))


def check_step_is_filled(num_samples: int, batch_size: int, world_size: int) -> None:
    """Refuse a set with fewer samples than one training step takes.

    Raises:
        ValueError: it has.
    """
    if num_samples < batch_size * world_size:
        raise ValueError(
            f"a training step takes {batch_size * world_size} samples (batch_size {batch_size} x {world_size}"
            f" processes), the set holds {num_samples}; lower batch_size or prepare more windows"
        )


class Batches:
    """The batches of a loader as a plain iterable: to predict or overfit, Lightning would build the loader again."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)


class ShardLoader(DataLoader[Any]):
    """A data loader whose position is part of the checkpoint (Lightning saves and restores it)."""

    def __init__(
        self,
        dataset: ShardDataset | PlainDataset,
        sampler: EpochSampler,
        *,
        pinned: bool = False,
        fetch: Callable[[int], object] | None = None,
        ahead: int = 0,
        max_damaged: float = 0.0,
        **options: Any,
    ) -> None:
        """Configure.

        Args:
            dataset: where batches come from.
            sampler: their order.
            pinned: whether they go to a GPU.
            fetch: brings the shard of a number here, where shards are elsewhere.
            ahead: how many shards are fetched before they are needed.
            max_damaged: the share of all samples that may be damaged.
            options: of torch's loader.
        """
        super().__init__(
            dataset,
            sampler=sampler,
            batch_size=sampler.batch_size,
            collate_fn=as_it_is,  # type: ignore[arg-type]
            # Each iterator seeds its workers, which would move the global generator on.
            generator=torch.Generator(),
            worker_init_fn=shield,
            **options,
        )
        self.epoch_sampler = sampler
        self.shards, self.pinned = dataset, pinned
        self.fetch, self.ahead = fetch, ahead
        self.damage = DamageLog(len(dataset), max_damaged)
        self._slots: Slots | None = None
        self.waited_s = 0.0
        """How long users of this loader have waited for batches so far."""
        self._delivered = 0
        self._resume: dict[str, int] | None = None

    def __iter__(self) -> Iterator[OutpaintBatch | PlainBatch]:  # type: ignore[override]
        # A generator, so that the order is read at the first batch: Lightning calls iter() before set_epoch().
        state, self._resume = self._resume, None
        first = 0
        if state is not None and state["epoch"] == self.epoch_sampler.epoch:
            first = state["batches"]
        self.epoch_sampler.first_batch = self._delivered = first
        try:
            since = time.perf_counter()
            slots = self._share_slots()
            # Workers start here, before the thread does: what a thread holds during a fork stays locked in the child.
            batches = super().__iter__()
            with self._prefetch() as reading:
                for loaded in batches:
                    if isinstance(loaded, ShardError):
                        raise loaded
                    self.damage.add(loaded.damage)
                    # At once: the next turn asks for a batch that may take this one's slot.
                    batch = self._unpack(loaded.batch, slots)
                    self.waited_s += time.perf_counter() - since
                    self._delivered += 1
                    reading.reached((self._delivered - first) * self.epoch_sampler.global_batch)
                    yield batch
                    since = time.perf_counter()
        finally:
            self.epoch_sampler.first_batch = 0

    def _share_slots(self) -> Slots | None:
        """Give workers that start now memory to put batches into, and return it."""
        if self.num_workers == 0 or not isinstance(self.shards, ShardDataset):
            return None
        if self._slots is None or not self.persistent_workers:
            size = self.shards.batch_bytes(self.epoch_sampler.batch_size)
            # A worker is at most ``prefetch_factor`` batches ahead of the one that is unpacked.
            self._slots = Slots(self.num_workers, (self.prefetch_factor or 1) + 2, size)
        self.shards.slots = self._slots
        return self._slots

    def _prefetch(self) -> Prefetch:
        """What fetches shards ahead in this epoch; nothing where they are here."""
        sampler, fetch = self.epoch_sampler, self.fetch
        if fetch is None or sampler.sample_shards is None:
            return Prefetch([], str, 0)
        order = sampler.order(sampler.epoch)[sampler.first_batch * sampler.global_batch :]
        return Prefetch(turns_of(sampler.sample_shards[order]), fetch, self.ahead)

    def _unpack(self, packed: Any, slots: Slots | None) -> OutpaintBatch | PlainBatch:
        if isinstance(self.shards, ShardDataset):
            return self.shards.unpack(packed, self.pinned, slots)
        return self.shards.unpack(packed, self.pinned)

    def state_dict(self) -> dict[str, int]:
        """The epoch, how many of its batches were handed out, and what decides the samples in each."""
        sampler = self.epoch_sampler
        return {"epoch": sampler.epoch, "batches": self._delivered, "global_batch": sampler.global_batch} | _order_of(
            sampler
        )

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the batches that ``state`` counts; an epoch that is over starts the next one."""
        before, now = state.get("global_batch"), self.epoch_sampler.global_batch
        if before not in (None, now) and state["batches"]:
            log.warning(
                "the checkpoint counts steps of %d samples and this run takes %d (batch_size times ranks): within the "
                "present epoch samples are repeated or left out; from the next one on all are seen once",
                before,
                now,
            )
        changed = [name for name, value in _order_of(self.epoch_sampler).items() if state.get(name, value) != value]
        if changed and state["batches"]:
            log.warning(
                "%s %s not as in the run that wrote the checkpoint: within the present epoch samples are repeated or"
                " left out; from the next one on all are seen once",
                " and ".join(f"data.{name}" for name in changed),
                "is" if len(changed) == 1 else "are",
            )
        over = state["batches"] >= len(self)
        self._resume = {"epoch": state["epoch"] + over, "batches": 0 if over else state["batches"]}
        self.epoch_sampler.set_epoch(self._resume["epoch"])


def _order_of(sampler: EpochSampler) -> dict[str, int]:
    """Settings that the order of an epoch follows from; 0 for no buffer."""
    return {"seed": sampler.seed, "shuffle_buffer": sampler.buffer or 0}


def as_it_is(loaded: Loaded | ShardError) -> Loaded | ShardError:
    """What the dataset made; torch would take it apart."""
    return loaded
