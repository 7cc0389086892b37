"""The tars of a shard set, opened when they are first read."""

import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lit_outpaint.data.index import IndexEntry
from lit_outpaint.data.schema import RECORD_SUFFIX, SampleRecord, ShardError
from lit_outpaint.data.shard_set import LocalSet, RemoteSet

MAX_OPEN: Final = 256
"""Shards that a process keeps open; systems allow 1024 files, and those of one batch come on top."""


class ShardFiles:
    """Reads members out of tars at the offsets of the index; files are opened on first use in each process."""

    def __init__(self, shards: Path | LocalSet | RemoteSet) -> None:
        """Open nothing yet.

        Args:
            shards: the set, or its directory.
        """
        self.place = str(shards) if isinstance(shards, Path) else shards.place
        self._path = shards.joinpath if isinstance(shards, Path) else shards.path
        self._files: dict[str, tuple[int, int]] = {}

    def read(self, entry: IndexEntry, suffix: str) -> bytearray:
        """Bytes of one member.

        Raises:
            ShardError: the shard vanished or ends early.
        """
        descriptor, offset, size = self.member(entry, suffix)
        data = bytearray(size)
        try:
            count = os.preadv(descriptor, [data], offset)
        except OSError as error:
            raise ShardError(f"cannot read {self.place}/{entry.shard}: {error.strerror}") from error
        if count != size:
            raise ShardError(f"{self.place}/{entry.shard} ends inside sample {entry.key}; prepare the set again")
        return data

    def member(self, entry: IndexEntry, suffix: str) -> tuple[int, int, int]:
        """Descriptor, offset and size of one member; the descriptor is good until the next `tidy`.

        Raises:
            ShardError: the shard vanished.
        """
        try:
            return (self._descriptor(entry.shard), *entry.span(suffix))
        except OSError as error:
            raise ShardError(f"cannot read {self.place}/{entry.shard}: {error.strerror}") from error

    def tidy(self) -> None:
        """Close the files that were opened first where too many are open, and copies that gave way to others.

        The disk keeps what an open descriptor leads to.
        """
        opened = [(shard, number) for shard, (number, opener) in self._files.items() if opener == os.getpid()]
        for place, (shard, descriptor) in enumerate(opened):
            if place < len(opened) - MAX_OPEN or os.fstat(descriptor).st_nlink == 0:
                os.close(descriptor)
                del self._files[shard]

    def record(self, entry: IndexEntry) -> SampleRecord:
        """The captions and the origin of a sample.

        Raises:
            ShardError: the record does not fit the schema.
        """
        try:
            return SampleRecord.model_validate_json(bytes(self.read(entry, RECORD_SUFFIX)))
        except ValidationError as error:
            raise ShardError(f"the record of sample {entry.key} in {entry.shard} does not fit the schema") from error

    def _descriptor(self, shard: str) -> int:
        # A descriptor is shared after a fork, which is harmless since pread keeps no position; the process number
        # is kept so that only the opener closes it.
        if shard not in self._files:
            try:
                descriptor = os.open(self._path(shard), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                # A copy may give way just before it is opened; asked again, it is fetched again.
                descriptor = os.open(self._path(shard), os.O_RDONLY | os.O_CLOEXEC)
            self._files[shard] = (descriptor, os.getpid())
        return self._files[shard][0]

    def close(self) -> None:
        """Close what this process opened."""
        for descriptor, opener in self._files.values():
            if opener == os.getpid():
                os.close(descriptor)
        self._files.clear()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_files": {}}

    def __del__(self) -> None:
        self.close()
