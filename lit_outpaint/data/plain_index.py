"""An index of plain WebDataset shards, built when they are first read: where each picture and each text lies.

A sample is what webdataset takes for one: neighbouring members of a tar whose paths agree up to the first dot of the
file name (https://github.com/webdataset/webdataset, ``base_plus_ext``). Names that begin with a dot, among them what
macOS keeps beside each file (``._KEY.jpg``), are passed over, as are directories and links. What is parsed is kept in
the user's cache.
"""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from lit_outpaint.data.schema import ShardError
from lit_outpaint.data.shard_cache import cache_home

IMAGE_ENDINGS: Final = ("jpg", "jpeg", "png", "webp")
TEXT_ENDINGS: Final = ("txt", "json")
"""The caption, and facts among which may be captions."""
PARSED: Final = 2
"""Counts the times that the same tar came to be parsed otherwise; part of the name of what is kept."""


@dataclass(frozen=True)
class PlainIndex:
    """The samples of some shards, as arrays."""

    paths: tuple[str, ...]
    """Of the shards."""
    keys: Any
    """UTF-8 keys, one a sample."""
    shards: Any
    """Places in ``paths``, one a sample."""
    endings: Any
    """Places in ``IMAGE_ENDINGS``, one a sample."""
    spans: Any
    """(samples, 3, 2): offset and size of the picture, the caption and the facts; size 0 where there are none."""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "PlainIndex":
        """The index of shards; parsed when one of them is new or changed.

        Raises:
            ShardError: one is no tar, or holds no sample with a picture and a text.
        """
        state = "\n".join(f"{path.resolve()}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in paths)
        kept = cache_home() / "index" / f"plain-{PARSED}-{hashlib.sha256(state.encode()).hexdigest()}.npz"
        names = tuple(map(str, paths))
        try:
            with np.load(kept, allow_pickle=False) as columns:
                return cls(names, *(columns[name] for name in ("keys", "shards", "endings", "spans")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            index = cls._parse(paths)
            index._save(kept)
            return index

    @classmethod
    def _parse(cls, paths: Sequence[Path]) -> "PlainIndex":
        keys: list[bytes] = []
        shards: list[int] = []
        endings: list[int] = []
        spans: list[list[tuple[int, int]]] = []
        for number, path in enumerate(paths):
            before = len(keys)
            for key, members in _samples(path):
                ending = next((ending for ending in IMAGE_ENDINGS if ending in members), None)
                if ending is None or not members.keys() & set(TEXT_ENDINGS):
                    continue
                keys.append(key.encode())
                shards.append(number)
                endings.append(IMAGE_ENDINGS.index(ending))
                spans.append([members[ending], *(members.get(text, (0, 0)) for text in TEXT_ENDINGS)])
            if len(keys) == before:
                raise ShardError(
                    f"{path} must hold samples with a picture ({', '.join(IMAGE_ENDINGS)}) and a caption"
                    f" ({' or '.join(TEXT_ENDINGS)}) of the same name, and holds none"
                )
        columns = np.array(shards, np.int32), np.array(endings, np.int8), np.array(spans, np.int64)
        return cls(tuple(map(str, paths)), np.array(keys, "S"), *columns)

    def _save(self, path: Path) -> None:
        """Keep the columns; a cache that cannot be written is done without."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                np.savez(file, keys=self.keys, shards=self.shards, endings=self.endings, spans=self.spans)
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def checksum(self) -> str:
        """Of what the samples are and where they lie, wherever the shards are."""
        digest = hashlib.sha256("\n".join(Path(path).name for path in self.paths).encode())
        for column in (self.keys, self.shards, self.endings, self.spans):
            digest.update(f"{column.dtype}{column.shape}".encode() + column.tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.keys)


def _only_zeros(path: Path, offset: int) -> bool:
    """Whether a file holds nothing but the padding of a tar from somewhere on."""
    with path.open("rb") as file:
        file.seek(offset)
        return not any(chunk.strip(b"\0") for chunk in iter(partial(file.read, 1 << 20), b""))


def _samples(path: Path) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
    """Key and members (offset and size by ending) of each sample of a tar.

    Raises:
        ShardError: it is no tar, or is cut off.
    """
    key, members = "", dict[str, tuple[int, int]]()
    end = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                if not info.isreg():
                    continue
                begin = info.name.rfind("/") + 1
                place = info.name.find(".", begin)
                if place <= begin:
                    continue
                if info.name[:place] != key:
                    if members:
                        yield key, members
                    key, members = info.name[:place], {}
                if info.offset_data + info.size > end:
                    raise ShardError(f"{path} ends inside {info.name}; copy it again")
                members[info.name[place + 1 :].lower()] = (info.offset_data, info.size)
            # At a header that it cannot read, tarfile stops as it does at the end.
            if not _only_zeros(path, tar.offset):
                raise ShardError(f"{path} is damaged, or continues, after {key or 'its beginning'}; copy it again")
    except (tarfile.TarError, OSError) as error:
        raise ShardError(f"{path} is not an uncompressed tar: {error}") from error
    if members:
        yield key, members
