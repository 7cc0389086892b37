"""Files that are either complete or absent, whoever is killed while writing them."""

import os
import re
from pathlib import Path
from typing import Final
from uuid import uuid4

_PARTIAL: Final = re.compile(r".+\.[0-9a-f]{12}\.partial")


def partial_path(path: Path) -> Path:
    """Where to write before renaming to ``path``: a name of its own, so that two writers never share a file."""
    return path.with_name(f"{path.name}.{uuid4().hex[:12]}.partial")


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is either complete or absent."""
    partial = partial_path(path)
    partial.write_bytes(data)
    os.replace(partial, path)


def remove_partials(directory: Path) -> None:
    """Delete what killed writers left below a directory; only for who has the directory to itself."""
    for path in directory.rglob("*.partial"):
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)
