"""Files that are either complete or absent, whoever is killed while writing them."""

import re
from pathlib import Path
from typing import Final

from lit_outpaint.system.files import draft_path, written_whole

_PARTIAL: Final = re.compile(r".+\.[0-9a-f]{12}\.partial")


def partial_path(path: Path) -> Path:
    """Where to write before renaming to ``path``: a name of its own, so that two writers never share a file."""
    return draft_path(path, shared=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is either complete or absent."""
    with written_whole(path, shared=True) as draft:
        draft.write_bytes(data)


def remove_partials(directory: Path) -> None:
    """Delete what killed writers left below a directory; only for who has the directory to itself."""
    for path in directory.rglob("*.partial"):
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)
