"""Tensors of many samples, read from the shards straight into the rows of a batch.

A sample's tensors lie in its ``.safetensors`` member behind a header that is the same for all samples of a set, so that
it is parsed once and compared afterwards; tensors that lie side by side are read by one call.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_outpaint.data.damaged import DamagedSample
from lit_outpaint.data.schema import ShardError
from lit_outpaint.data.tensors import Place, tensor_places
from lit_outpaint.system.one_line import one_line

_EXPONENT_BITS: dict[torch.dtype, tuple[type[np.unsignedinteger[Any]], int]] = {
    torch.float16: (np.uint16, 0x7C00),
    torch.bfloat16: (np.uint16, 0x7F80),
    torch.float32: (np.uint32, 0x7F800000),
}
"""All of them are 1 in what is not finite."""


class Run(NamedTuple):
    """Neighbouring bytes of a member and the tensors in them, in order."""

    begin: int
    size: int
    names: tuple[str, ...]


class Layout:
    """Where the tensors of a member lie; shared by all members with the same header."""

    def __init__(self, places: dict[str, Place]) -> None:
        self.places = places
        self._plans: dict[tuple[str, ...], list[Run]] = {}

    def plan(self, names: tuple[str, ...]) -> list[Run]:
        """The reads that fetch some tensors.

        Raises:
            ShardError: one of them is not there.
        """
        if names not in self._plans:
            self._plans[names] = self._plan(names)
        return self._plans[names]

    def _plan(self, names: tuple[str, ...]) -> list[Run]:
        absent = [name for name in names if name not in self.places]
        if absent:
            raise ShardError(f"a sample lacks the tensor {absent[0]!r}; it holds {', '.join(sorted(self.places))}")
        runs: list[Run] = []
        for name in sorted(names, key=lambda name: self.places[name].begin):
            place = self.places[name]
            if runs and runs[-1].begin + runs[-1].size == place.begin:
                last = runs.pop()
                runs.append(Run(last.begin, last.size + place.size, (*last.names, name)))
            else:
                runs.append(Run(place.begin, place.size, (name,)))
        return runs


class PackedRows(NamedTuple):
    """Fields of several samples in one piece of memory."""

    buffer: Tensor | None
    """uint8: the bytes of all fields; None where they lie in a slot that both processes see (`slots.Slots`)."""
    places: dict[str, Place]
    """Where each field lies in it."""

    def unpack(self, pinned: bool = False, slot: Tensor | None = None) -> dict[str, Tensor]:
        """The fields as float32 tensors, in pinned memory if they go to a GPU.

        Args:
            pinned: whether they go to a GPU.
            slot: where their bytes lie, if not in ``buffer``.
        """
        buffer = self.buffer if slot is None else slot
        assert buffer is not None
        unpacked: dict[str, Tensor] = {}
        for field, place in self.places.items():
            stored = buffer[place.begin : place.begin + place.size].view(place.dtype).view(place.shape)
            with _one_thread():
                unpacked[field] = torch.empty(place.shape, pin_memory=pinned).copy_(stored)
        return unpacked


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute without torch's other threads.

    They keep their cores busy while they wait for each other, and these are the cores that loader workers need: with
    two of each, beside other work, the copy of a batch by two threads took a hundred times as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _allocate(size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8)


def _reads(layout: Layout, names: Mapping[str, str], raw: Mapping[str, Any]) -> list[tuple[int, int, list[Any]]]:
    """The reads that fill a row: offset in the member, bytes, and the arrays whose rows they fill.

    Raises:
        ShardError: a tensor is missing, or is of another size than the rows.
    """
    field_of = {name: field for field, name in names.items()}
    reads = []
    for run in layout.plan(tuple(names.values())):
        targets = [raw[field_of[name]] for name in run.names]
        if sum(target.shape[1] for target in targets) != run.size:
            raise ShardError(f"samples of one batch differ in the size of {' or '.join(run.names)}")
        reads.append((run.begin, run.size, targets))
    return reads


@contextmanager
def _damage_of(row: int) -> Iterator[None]:
    """Whatever parsing and reading a sample raises is its own fault, unless the disk is at fault.

    Raises:
        DamagedSample: something was raised.
        ShardError: the disk cannot be read at all.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EIO:  # A bad place on a disk stays bad.
            raise DamagedSample(row, one_line(error)) from error
        raise ShardError(f"a shard cannot be read: {one_line(error)}") from error
    except Exception as error:
        raise DamagedSample(row, one_line(error)) from error


def _check_finite(field: str, rows: np.ndarray, dtype: torch.dtype) -> None:
    """One infinity would spoil the weights for good.

    Args:
        field: what the rows are.
        rows: uint8, (samples, bytes).
        dtype: what the bytes are.

    Raises:
        DamagedSample: the first sample with values that are not finite.
    """
    kind, exponent = _EXPONENT_BITS[dtype]
    for number, row in enumerate(rows.view(kind)):  # One by one they fit into the processor's cache.
        if np.bitwise_and(row, kind(exponent)).max(initial=0) == exponent:
            raise DamagedSample(number, f"its {field} hold values that are not finite")


class RowReader:
    """Fills batches row by row; one in each process."""

    def __init__(self) -> None:
        self._layouts: dict[bytes, Layout] = {}
        self._head_bytes = 0

    def read(
        self,
        members: Sequence[tuple[int, int, int]],
        wanted: Sequence[Mapping[str, str]],
        allocate: Callable[[int], Tensor] = _allocate,
    ) -> PackedRows:
        """Read the same fields of several samples.

        Args:
            members: descriptor, offset and size of each sample's member.
            wanted: for each sample, field -> name of the tensor that fills it; the same fields for all.
            allocate: gives that many bytes, or more.

        Raises:
            DamagedSample: a member is damaged, ends early, lacks a tensor, or holds values that are not finite.
            ShardError: one has tensors of other sizes than the first.
        """
        places, size = self.places(members[0], wanted[0], len(members))
        buffer = allocate(size)
        raw = {
            field: buffer[place.begin : place.begin + place.size].view(len(members), -1).numpy()
            for field, place in places.items()
        }
        # Few views and layouts occur in a batch: what to read is worked out once for each.
        plans: dict[tuple[Layout, int], list[tuple[int, int, list[Any]]]] = {}
        for row, ((descriptor, offset, size), names) in enumerate(zip(members, wanted, strict=True)):
            with _damage_of(row):
                layout = self._layout(descriptor, offset, size)
                layout.plan(tuple(names.values()))
            plan = plans.get((layout, id(names)))
            if plan is None:
                plan = plans[layout, id(names)] = _reads(layout, names, raw)
            with _damage_of(row):
                for begin, length, targets in plan:
                    if os.preadv(descriptor, [target[row] for target in targets], offset + begin) != length:
                        raise ShardError("the shard ends inside it")
        for field, place in places.items():
            _check_finite(field, raw[field], place.dtype)
        return PackedRows(buffer, places)

    def places(
        self, member: tuple[int, int, int], wanted: Mapping[str, str], rows: int
    ) -> tuple[dict[str, Place], int]:
        """Where the fields of a batch go, and how many bytes they take together.

        Args:
            member: a sample of the batch; the others must be of its sizes.
            wanted: field -> name of the tensor that fills it.
            rows: samples of the batch.

        Raises:
            DamagedSample: the member is damaged, or lacks a tensor.
        """
        with _damage_of(0):
            layout = self._layout(*member)
            layout.plan(tuple(wanted.values()))
        places: dict[str, Place] = {}
        end = 0
        for field, name in wanted.items():
            place = layout.places[name]
            places[field] = Place(end, place.size * rows, place.dtype, (rows, *place.shape))
            # Each field begins at a multiple of the largest item.
            end += -(-places[field].size // 8) * 8
        return places, end

    def _layout(self, descriptor: int, offset: int, size: int) -> Layout:
        """The layout of a member, by its header; parsed when it is a new one."""
        head = os.pread(descriptor, min(self._head_bytes, size), offset)
        layout = self._layouts.get(head)
        if layout is None:
            start = 8 + int.from_bytes(os.pread(descriptor, 8, offset), "little")
            head = os.pread(descriptor, min(start, size), offset)
            layout = self._layouts[head] = Layout(tensor_places(head, size))
            self._head_bytes = len(head)
        return layout
