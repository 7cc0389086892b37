"""A directory that takes the place of another when it is complete."""

from __future__ import annotations

import shutil
from pathlib import Path


def replace_directory(complete: Path, path: Path) -> None:
    """Give ``complete`` the name ``path``; what had that name before is removed."""
    old = path.with_name(path.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    complete.rename(path)
    shutil.rmtree(old, ignore_errors=True)
