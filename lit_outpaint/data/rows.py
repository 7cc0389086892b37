"""Tensors of many samples, read from the shards straight into the rows of a batch.

A sample's tensors lie in its ``.safetensors`` member behind a header that is the same for all samples of a set, so that
it is parsed once and compared afterwards; tensors that lie side by side are read by one call.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_outpaint.data.schema import ShardError
from lit_outpaint.data.tensors import Place, tensor_places


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
    """Fields of several samples in one piece of memory, which costs one handle on the way out of a worker, not five."""

    buffer: Tensor
    """uint8: the bytes of all fields."""
    places: dict[str, Place]
    """Where each field lies in it."""

    def unpack(self, pinned: bool = False) -> dict[str, Tensor]:
        """The fields as float32 tensors, in pinned memory if they go on to a GPU."""
        unpacked: dict[str, Tensor] = {}
        for field, place in self.places.items():
            stored = self.buffer[place.begin : place.begin + place.size].view(place.dtype).view(place.shape)
            unpacked[field] = torch.empty(place.shape, pin_memory=pinned).copy_(stored)
        return unpacked


class RowReader:
    """Fills batches row by row; one in each process."""

    def __init__(self) -> None:
        self._layouts: dict[bytes, Layout] = {}
        self._head_bytes = 0

    def read(self, members: Sequence[tuple[int, int, int]], wanted: Sequence[Mapping[str, str]]) -> PackedRows:
        """Read the same fields of several samples.

        Args:
            members: descriptor, offset and size of each sample's member.
            wanted: for each sample, field -> name of the tensor that fills it; the same fields for all.

        Raises:
            ShardError: a member is damaged, ends early, lacks a tensor, or has tensors of other sizes than the first.
        """
        fields = tuple(wanted[0])
        layouts = [self._layout(*member) for member in members]
        first = [layouts[0].places.get(wanted[0][field]) for field in fields]
        places: dict[str, Place] = {}
        end = 0
        for field, place in zip(fields, first, strict=True):
            if place is None:
                layouts[0].plan(tuple(wanted[0].values()))
            assert place is not None
            places[field] = Place(end, place.size * len(members), place.dtype, (len(members), *place.shape))
            # Each field begins at a multiple of the largest item.
            end += -(-places[field].size // 8) * 8
        buffer = torch.empty(end, dtype=torch.uint8)
        raw = {
            field: buffer[place.begin : place.begin + place.size].view(len(members), -1).numpy()
            for field, place in places.items()
        }
        for row, ((descriptor, offset, _), layout, names) in enumerate(zip(members, layouts, wanted, strict=True)):
            field_of = {name: field for field, name in names.items()}
            for run in layout.plan(tuple(names.values())):
                rows = [raw[field_of[name]][row] for name in run.names]
                if sum(part.nbytes for part in rows) != run.size:
                    raise ShardError(f"samples of one batch differ in the size of {' or '.join(run.names)}")
                if os.preadv(descriptor, rows, offset + run.begin) != run.size:
                    raise ShardError("a shard ends inside a sample; prepare the set anew")
        return PackedRows(buffer, places)

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
