"""A shard set behind a URL (s3, gs, http, ... : whatever fsspec knows), of which files come here when they are read."""

import logging
import time
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]
from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from lit_outpaint.data.schema import FileCard, ShardError

log = logging.getLogger(__name__)

PIECE_BYTES: Final = 16 << 20
"""Fetched by one request, which is what a fault costs."""
PAUSES_S: Final = (0.5, 2.0, 8.0, 30.0)
"""Waits between the tries of one request."""


def is_url(place: str) -> bool:
    """Whether a place is a URL rather than a directory.

    >>> is_url("s3://bucket/set"), is_url("runs/data")
    (True, False)
    """
    return "://" in place


class RemoteFiles:
    """The files below a URL."""

    def __init__(self, url: str, pauses_s: Sequence[float] = PAUSES_S) -> None:
        """Note where they are; nothing is asked yet.

        Args:
            url: of the directory.
            pauses_s: waits between the tries of a request; one try more than there are waits.

        Raises:
            ShardError: the URL holds a password, or its scheme needs a package that is not installed.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ShardError(
                f"a URL of shards must hold no credentials, since configurations are kept with the runs; give those of"
                f" {parts.scheme} through the environment"
            )
        self.url, self.pauses_s = url.rstrip("/"), tuple(pauses_s)
        try:
            fsspec.get_filesystem_class(parts.scheme)
        except (ImportError, ValueError) as error:
            raise ShardError(f"shards at {parts.scheme}:// cannot be read: {error}") from error

    def read(self, name: str) -> bytes:
        """The whole of a small file.

        Raises:
            ShardError: it is missing, or cannot be had.
        """
        data: bytes = self._patiently(name, "cat_file")
        return data

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Bytes of files; those that are missing are left out.

        Raises:
            ShardError: the server does not answer.
        """
        fs, root = self._open()
        try:
            # One question for all, where the place can be listed with sizes.
            rows = fs.ls(root, detail=True)
        except Exception:
            rows = []
        found = {PurePosixPath(row["name"]).name: row["size"] for row in rows if row.get("size") is not None}
        for name in names:
            if name not in found:
                try:
                    found[name] = self._patiently(name, "size")
                except _MissingError:
                    continue
                if found[name] is None:
                    raise ShardError(f"{self.url} must say how large its files are, but does not for {name}")
        return {name: found[name] for name in names if name in found}

    def fetch(self, file: FileCard, target: BinaryIO) -> None:
        """Write the bytes of a file.

        Raises:
            ShardError: it is missing, ends early, or cannot be had.
        """
        target.seek(0)
        done = 0
        while done < file.size:
            end = min(done + PIECE_BYTES, file.size)
            piece: bytes = self._patiently(file.name, "cat_file", start=done, end=end)
            if done == 0 and len(piece) == file.size:
                # A server that knows no ranges sends everything.
                end = file.size
            if len(piece) != end - done:
                raise ShardError(f"{self.url}/{file.name} must have {file.size} bytes, as the card says; copy it again")
            target.write(piece)
            done = end

    def _patiently(self, name: str, method: str, **options: Any) -> Any:
        """Ask, and ask again after a while when that fails.

        Raises:
            ShardError: the file is missing, or the last try failed.
        """
        for pause_s in (*self.pauses_s, None):
            fs, root = self._open()
            try:
                return getattr(fs, method)(f"{root}/{name}", **options)
            except FileNotFoundError as error:
                raise _MissingError(f"{self.url}/{name} is missing") from error
            except Exception as error:
                # Every backend has exceptions of its own.
                said = f"{type(error).__name__} {(str(error).splitlines() or [''])[0]}".rstrip()
                if pause_s is None or not _may_pass(error):
                    raise ShardError(f"cannot read {self.url}/{name}: {said}") from error
                log.warning("cannot read %s/%s: %s; again in %g s", self.url, name, said, pause_s)
            time.sleep(pause_s)
        raise AssertionError

    def _open(self) -> tuple[Any, str]:
        # Not kept: a connection does not survive a fork. fsspec hands out the same one within a process.
        fs, root = url_to_fs(self.url)
        return fs, root.rstrip("/")


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: not where a server refuses, as 4xx says except for time-outs and rate limits."""
    status = getattr(error, "status", None)
    refused = isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
    return not (refused or isinstance(error, PermissionError))


class _MissingError(ShardError):
    """There is no such file."""
