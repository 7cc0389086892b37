"""Files that are there whole or not at all, whoever is killed while writing them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def make_out(directory: Path) -> None:
    """Make the directory that ``--out`` names, and those above it.

    Raises:
        ValueError: it cannot be made or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {directory} cannot be written: {error.strerror}") from error
    if not os.access(directory, os.W_OK):
        raise ValueError(f"--out {directory} cannot be written: Permission denied")


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a directory, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(path: Path) -> str:
    """A path for messages that are kept in reports: below the home directory with ``~``, which tells of no machine."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def let_others_read(path: Path) -> None:
    """Give a file, or a directory with all in it, the permissions that new files have here.

    ``tempfile`` and safetensors keep what they write to its owner, so that colleagues could not load an export.
    """
    mask = os.umask(0o077)  # To be read, it has to be set.
    os.umask(mask)
    for each in (path, *path.rglob("*")):
        if not each.is_symlink():
            each.chmod((0o777 if each.is_dir() else 0o666) & ~mask)


@contextmanager
def written_whole(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a draft to write, which takes the name of a file when the block ends and its bytes are on the disk.

    A draft that a kill leaves behind ends in ``.partial``; without ``shared`` the next one takes its place.

    Args:
        path: the file, replaced if it is there.
        shared: whether several processes may write it at once; then each draft has a name of its own.
    """
    draft = draft_path(path, shared=shared)
    try:
        yield draft
        sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def draft_path(path: Path, *, shared: bool = False) -> Path:
    """Where a file is written before it takes its name; see `written_whole`."""
    return path.with_name(f"{path.name}.{uuid4().hex[:12]}.partial" if shared else f"{path.name}.partial")
