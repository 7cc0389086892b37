"""Memory that loader workers fill in turns and the training process reads, mapped once instead of for every batch.

A new piece of shared memory costs more than reading a batch from the page cache: the system zeroes and maps its pages
in both processes. The memory is anonymous, so that it counts as the process's own and not against the size of
/dev/shm; workers that are forked share it.
"""

import mmap
from typing import Final

import torch
from torch import Tensor

_HEAD_BYTES: Final = 8


class Slots:
    """Some slots for each worker; the turn of a batch says which, and lies in the slot's head while it is there."""

    def __init__(self, workers: int, each: int, size: int) -> None:
        """Allocate.

        Args:
            workers: loader processes.
            each: slots of each; more than a worker has batches that are not unpacked yet.
            size: bytes of a batch.
        """
        shape = (workers, each, _HEAD_BYTES + -(-size // 8) * 8)
        pages = mmap.mmap(-1, workers * each * shape[2])
        self._memory = torch.frombuffer(pages, dtype=torch.uint8).view(shape)
        self._parts: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    @property
    def size(self) -> int:
        """Bytes of a slot."""
        return self._memory.shape[2] - _HEAD_BYTES

    def take(self, worker: int, turn: int) -> Tensor:
        """A slot to fill: uint8, (size,)."""
        head, body = self._slot(worker, turn)
        head.fill_(turn)
        return body

    def look(self, worker: int, turn: int) -> Tensor:
        """What was filled in.

        Raises:
            RuntimeError: another batch has taken its place.
        """
        head, body = self._slot(worker, turn)
        if int(head) != turn:
            raise RuntimeError(f"batch {turn} of loader worker {worker} was overwritten before it was used")
        return body

    def _slot(self, worker: int, turn: int) -> tuple[Tensor, Tensor]:
        """Head and content of a slot; cut out once, as each cut takes microseconds."""
        place = (worker, turn % self._memory.shape[1])
        if place not in self._parts:
            slot = self._memory[place]
            self._parts[place] = (slot[:_HEAD_BYTES].view(torch.int64), slot[_HEAD_BYTES:])
        return self._parts[place]
