"""Copies of remote files on this machine's disk, named by their checksums, together never larger than a bound.

Loader workers and the ranks of a machine share them: a file is fetched once, by whoever needs it first, under a lock
that the system takes back when its holder dies. Who has a file open continues reading it after it gave way to another.
"""

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lit_outpaint.data.schema import FileCard, ShardError

_PAUSE_S: Final = 0.05
_DRAFT: Final = ".part"
_OURS: Final = re.compile(rf"[0-9a-f]{{64}}({re.escape(_DRAFT)})?")


def cache_home() -> Path:
    """Where everything is kept that can be had again: ``$XDG_CACHE_HOME/lit_outpaint``, else below ``~/.cache``.

    A user without a home, as in some containers, has it in the directory for temporary files.
    """
    said = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(said or Path.home() / ".cache") / "lit_outpaint"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"lit_outpaint-{os.getuid()}"


@dataclass(frozen=True, kw_only=True)
class ShardCache:
    """A directory of copies; the one that was opened longest ago gives way first."""

    directory: Path
    """On a disk of this machine; several runs may share it."""
    limit_bytes: int
    """What all copies may take together, those included that are being fetched."""

    def get(self, file: FileCard, fetch: Callable[[BinaryIO], None]) -> Path:
        """The copy of a file, fetched where it is not there yet.

        Args:
            file: its size and checksum.
            fetch: writes its bytes.

        Raises:
            ShardError: what was fetched has another size or checksum, or the disk refuses.
        """
        if re.fullmatch(r"[0-9a-f]{64}", file.sha256) is None:
            raise ShardError(f"the card names no checksum for {file.name}; prepare the shard set again")
        copy = self.directory / file.sha256
        draft = self.directory / f"{file.sha256}{_DRAFT}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            while not _used(copy, file.size):
                with open(os.open(draft, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as target, _locked(target):
                    # While this process waited, another may have finished the file, or cleared it away.
                    if not _same(target, draft) or _used(copy, file.size):
                        continue
                    # Who waits for room takes none, so that the others come to their end.
                    target.truncate(0)
                    while not self._reserve(target, draft.name, file.size):
                        time.sleep(_PAUSE_S)
                    fetch(target)
                    _check(target, file)
                    os.fsync(target.fileno())
                    with self._listed():
                        draft.replace(copy)
        except OSError as error:
            raise ShardError(f"cannot keep {file.name} in {self.directory}: {error.strerror or error}") from error
        return copy

    @contextmanager
    def _listed(self) -> Iterator[None]:
        """While names in the directory stay as they are, but for empty drafts."""
        with (self.directory / "lock").open("ab") as turn, _locked(turn):
            yield

    def _reserve(self, target: BinaryIO, name: str, size: int) -> bool:
        """Make room for a file that is to be fetched, and take it; False while what others fetch is in the way."""
        with self._listed():
            # Whatever else lies in the directory is not ours.
            others = {path: path.stat() for path in self.directory.iterdir() if _OURS.fullmatch(path.name)}
            others = {path: state for path, state in others.items() if path.name != name}
            room = self.limit_bytes - size - sum(state.st_size for state in others.values())
            waiting = False
            for path in sorted(others, key=lambda path: (path.suffix != _DRAFT, others[path].st_mtime_ns)):
                if room >= 0:
                    break
                if path.suffix != _DRAFT or _abandoned(path):
                    path.unlink()
                    room += others[path].st_size
                else:
                    waiting = waiting or others[path].st_size > 0
            if room < 0 and waiting:
                return False
            target.truncate(size)
            return True


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _used(copy: Path, size: int) -> bool:
    """Whether a whole copy is there; if so, it counts as used now."""
    try:
        whole = copy.stat().st_size == size
        if whole:
            with suppress(PermissionError):  # Of another user, who keeps it in use.
                os.utime(copy)
    except FileNotFoundError:
        return False
    return whole


def _same(file: BinaryIO, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _abandoned(draft: Path) -> bool:
    """Whether nobody is fetching a file that was begun."""
    with draft.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _check(file: BinaryIO, card: FileCard) -> None:
    file.flush()
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if found != card.sha256:
        raise ShardError(f"{card.name} was fetched, but differs from its checksum in the card; prepare the set again")
