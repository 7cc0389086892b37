"""Tars that are equal when their content is, and reading of them that trusts nothing.

The writer leaves out times, owners and modes, so equal samples give equal bytes. Every shard is plain WebDataset: the
members of a sample are adjacent and named ``KEY.suffix`` with one dot.
"""

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from data_prep.atomic import partial_path
from lit_outpaint.data.schema import ShardError, check_key
from lit_outpaint.system.files import sync

BLOCK: Final = 512
MAX_MEMBER_BYTES: Final = 256 << 20
"""A larger member is refused before it is read into memory."""


class Member(NamedTuple):
    """The bytes of one member and where they lie in the tar."""

    data: bytes
    span: tuple[int, int]


class TarWriter:
    """Writes samples to ``path``; the file appears under that name only when it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = partial_path(path)
        self._tar = tarfile.open(self._partial, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (closed in __exit__)

    def add(self, key: str, members: Mapping[str, bytes]) -> tuple[tuple[int, int], ...]:
        """Append a sample; return (offset, size) of each member's bytes, in the order given."""
        check_key(key)
        spans = []
        for suffix, data in members.items():
            info = tarfile.TarInfo(f"{key}.{suffix}")
            info.size, info.mtime, info.mode = len(data), 0, 0o444
            spans.append((self._tar.offset + BLOCK, len(data)))
            self._tar.addfile(info, io.BytesIO(data))
        return tuple(spans)

    def __enter__(self) -> "TarWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._tar.close()  # On a full disk this raises, too.
            if kind is None:
                # The name says that all is there.
                sync(self._partial)
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


def read_samples(path: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, dict[str, Member]]]:
    """Read the samples of a tar in order.

    Args:
        path: the tar.
        suffixes: the members that every sample must have, in this order, and no others.

    Raises:
        ShardError: the tar is truncated or damaged, a member is no plain file, is named in a way that could leave a
            directory, is not expected, is too large, or the members of a sample are not adjacent.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            sample: dict[str, Member] = {}
            current = ""
            for info in tar:
                key, suffix = _split_name(path, info)
                if suffix != suffixes[len(sample)] or (sample and key != current):
                    raise ShardError(f"{path}: unexpected member {info.name!r}; a sample holds {', '.join(suffixes)}")
                current = key
                file = tar.extractfile(info)
                data = file.read() if file is not None else b""
                if len(data) != info.size:
                    raise ShardError(f"{path} is truncated inside {info.name}")
                sample[suffix] = Member(data, (info.offset_data, info.size))
                if len(sample) == len(suffixes):
                    yield current, sample
                    sample = {}
            if sample:
                raise ShardError(f"{path} is truncated after {current}")
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"{path} is not a whole tar: {error}") from error


def _split_name(path: Path, info: tarfile.TarInfo) -> tuple[str, str]:
    key, _, suffix = info.name.partition(".")
    try:
        check_key(key)
    except ShardError as error:
        raise ShardError(f"{path}: member {info.name[:80]!r} is refused: {error}") from error
    if not info.isreg() or info.size > MAX_MEMBER_BYTES:
        raise ShardError(
            f"{path}: member {info.name!r} is refused: not a plain file of at most {MAX_MEMBER_BYTES} bytes"
        )
    return key, suffix
