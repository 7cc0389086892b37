"""Directories that are there whole or not at all; what stood in their place stays until they are complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def directory_written_whole(path: Path) -> Iterator[Path]:
    """Give an empty draft to fill, which takes the place of a directory when the block ends.

    Where ``path`` is a link it stays one, and what it leads to is replaced. A kill between the two renames leaves what
    stood there under another name, until `put_back` is called.
    """
    place = path.resolve()
    draft, old = _beside(place, "partial"), _beside(place, "old")
    _remove(draft)
    draft.mkdir(parents=True)
    try:
        yield draft
        _remove(old)
        if place.exists():
            place.rename(old)
        draft.rename(place)
    except BaseException:
        _remove(draft)
        put_back(path)
        raise
    _remove(old)


def put_back(path: Path) -> None:
    """Give a directory its name again that a kill took from it while it was replaced."""
    place = path.resolve()
    old = _beside(place, "old")
    if old.is_dir() and not place.exists():
        old.rename(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")
