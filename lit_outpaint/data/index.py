"""The index of a shard set: where every member of every sample lies inside the tars.

With it a sample is read by one ``pread`` per member, in any order and from any position, which plain tar reading cannot
do. One JSON object a line, in the order of the shards.
"""

import json
import os
import zipfile
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, overload

import numpy as np

from lit_outpaint.data.schema import SUFFIXES, ShardError, check_key
from lit_outpaint.data.shard_cache import cache_home
from lit_outpaint.system.files import file_sha256

CACHED_FROM_BYTES: Final = 4 << 20
"""Smaller indices are parsed at every start."""


@dataclass(frozen=True)
class IndexEntry:
    """One sample: its shard and the (offset, size) of each member's bytes, in the order of ``schema.SUFFIXES``."""

    key: str
    shard: str
    spans: tuple[tuple[int, int], ...]

    def span(self, suffix: str) -> tuple[int, int]:
        """Offset and size of one member."""
        return self.spans[SUFFIXES.index(suffix)]

    def to_json(self) -> str:
        """The line of this sample."""
        members = {suffix: list(span) for suffix, span in zip(SUFFIXES, self.spans, strict=True)}
        return json.dumps({"key": self.key, "shard": self.shard, "members": members}, separators=(",", ":"))


def write_index(path: Path, entries: Iterable[IndexEntry]) -> None:
    """Write one line a sample."""
    path.write_text("".join(entry.to_json() + "\n" for entry in entries), encoding="ascii")


class Index(Sequence[IndexEntry]):
    """The samples of a set or of a part of it, as arrays: some 80 bytes a sample, shared with forked workers."""

    def __init__(self, keys: Any, shards: Any, spans: Any, names: Sequence[str]) -> None:
        """Put columns together.

        Args:
            keys: ASCII keys, one a sample.
            shards: places in ``names``, one a sample.
            spans: (samples, members, 2), offset and size of each member.
            names: the shards.
        """
        self.keys, self.shards, self.spans, self.names = keys, shards, spans, tuple(names)

    @classmethod
    def read(cls, path: Path, shard_sizes: dict[str, int]) -> "Index":
        """Read an index and check that it points into the shards.

        What was parsed of a large one is kept in the user's cache under its checksum, so that the next start, such as
        that of a run that continues, takes a fraction of a second.

        Args:
            path: the index file.
            shard_sizes: bytes of every shard that the card names; no other file is ever opened.

        Raises:
            ShardError: a line is damaged, a key comes twice, or a member lies outside its shard.
        """
        kept = _cache_path(path) if path.stat().st_size >= CACHED_FROM_BYTES else None
        index = _load(kept) if kept is not None else None
        if index is None:
            index = _parse(path)
            if kept is not None:
                index._save(kept)
        sizes = np.array([shard_sizes.get(name, -1) for name in index.names], np.int64)[index.shards][:, None]
        offsets, lengths = index.spans[..., 0], index.spans[..., 1]
        outside = ((offsets < 0) | (lengths <= 0) | (offsets + lengths > sizes)).any(axis=1)
        if outside.any():
            number = int(outside.argmax()) + 1
            raise ShardError(f"{path}:{number} points outside the shards of the card; prepare the shard set again")
        return index

    def part(self, names: Collection[str]) -> "Index":
        """The samples of some shards, in the same order."""
        wanted = np.array([name in names for name in self.names], bool)
        rows = wanted[self.shards] if len(self) else np.zeros(0, bool)
        return Index(self.keys[rows], self.shards[rows], self.spans[rows], self.names)

    def samples_by_shard(self) -> dict[str, int]:
        """How many samples each shard holds."""
        counts = np.bincount(self.shards, minlength=len(self.names)).tolist()
        return dict(zip(self.names, counts, strict=True))

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> IndexEntry: ...
    @overload
    def __getitem__(self, place: slice) -> "list[IndexEntry]": ...
    def __getitem__(self, place: int | slice) -> "IndexEntry | list[IndexEntry]":
        """One sample, or a list of some."""
        if isinstance(place, slice):
            return self.at(range(*place.indices(len(self))))
        return self.at([place])[0]

    def at(self, places: Sequence[int]) -> list[IndexEntry]:
        """Some samples; many at once take a fraction of the time that they take one by one."""
        rows = np.asarray(places, np.int64)
        keys, shards, spans = self.keys[rows].tolist(), self.shards[rows].tolist(), self.spans[rows].tolist()
        return [
            IndexEntry(key.decode("ascii"), self.names[shard], tuple(map(tuple, members)))
            for key, shard, members in zip(keys, shards, spans, strict=True)
        ]

    def _save(self, path: Path) -> None:
        """Keep the columns; a cache that cannot be written is done without."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                np.savez(file, keys=self.keys, shards=self.shards, spans=self.spans, names=np.array(self.names))
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _parse(path: Path) -> Index:
    """Read the lines.

    Raises:
        ShardError: a line is damaged, or a key comes twice.
    """
    keys: list[bytes] = []
    shards: list[int] = []
    spans: list[int] = []
    names: dict[str, int] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                members = row["members"]
                keys.append(check_key(row["key"]).encode("ascii"))
                shards.append(names.setdefault(str(row["shard"]), len(names)))
                spans += [int(members[suffix][part]) for suffix in SUFFIXES for part in (0, 1)]
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise ShardError(f"{path}:{number} is not an index line; prepare the shard set again") from error
    if len(set(keys)) != len(keys):
        raise ShardError(f"{path} names a sample twice; prepare the shard set again")
    columns = np.array(spans, np.int64).reshape(len(keys), len(SUFFIXES), 2)
    return Index(np.array(keys, "S"), np.array(shards, np.int32), columns, list(names))


def _cache_path(path: Path) -> Path:
    """Where the columns of an index are kept: under the checksum of its bytes."""
    return cache_home() / "index" / f"{file_sha256(path)}.npz"


def _load(path: Path) -> Index | None:
    """Columns that were kept; None where there are none, or not whole ones."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Index(kept["keys"], kept["shards"], kept["spans"], kept["names"].tolist())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
