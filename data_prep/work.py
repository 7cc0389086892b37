"""The work directory between stages: what is done already, with which settings.

Every stage writes one file per shard under ``OUT/work/STAGE`` and renames it into place when it is complete, so a stage
that was killed goes on with the first missing file. A stage whose settings changed, or whose input did, starts anew.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lit_outpaint.data.schema import SPLITS, shard_name

SHAPES_NAME: Final = "shapes.json"
"""Written by ``encode`` for ``pack``: sizes of windows, latents and features."""

TEXT_SUFFIX: Final = "text.json"
"""Written by ``encode`` for ``pack``, per shard: counts and lengths of captions."""

_SETTINGS = "settings.json"
_DONE = "done"


class Work:
    """Stages of one output directory."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.root = out / "work"

    def stage(self, name: str) -> Path:
        """Directory of a stage."""
        return self.root / name

    def begin(self, name: str, settings: dict[str, Any], after: str | None = None) -> Path:
        """Enter a stage; forget its files when they were made with other settings or from another input.

        Args:
            name: the stage.
            settings: everything its output depends on besides its input.
            after: the stage whose output it reads; must be complete.

        Raises:
            ValueError: the stage before is not complete.
        """
        chain = {"settings": settings, "after": self.settings(after) if after else None}
        directory = self.stage(name)
        recorded = directory / _SETTINGS
        if not recorded.is_file() or json.loads(recorded.read_text()) != _plain(chain):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            write_atomic(recorded, json.dumps(chain, indent=1, sort_keys=True).encode())
        return directory

    def finish(self, name: str) -> None:
        """Mark a stage as complete."""
        write_atomic(self.stage(name) / _DONE, b"")

    def is_done(self, name: str) -> bool:
        """Whether a stage is complete."""
        return (self.stage(name) / _DONE).is_file()

    def settings(self, name: str) -> dict[str, Any]:
        """What a complete stage recorded about itself.

        Raises:
            ValueError: it is not complete.
        """
        if not self.is_done(name):
            raise ValueError(f"the stage {name!r} of {self.out} is not complete; run the stages before this one first")
        recorded: dict[str, Any] = json.loads((self.stage(name) / _SETTINGS).read_text())
        return recorded

    def shards(self, name: str) -> list[str]:
        """Names of the shards that a stage made, without suffix, training first."""
        stems = {path.name.split(".")[0] for path in self.stage(name).glob("*-[0-9]*.*")}
        return [stem for split in SPLITS for stem in sorted(stems) if stem.startswith(f"{split}-")]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep two preparations from writing to one directory.

        Raises:
            ValueError: the directory is in use, or cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / "lock").open("w")
        except OSError as error:
            raise ValueError(f"cannot write to {self.out}: {error.strerror}; choose another --out") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"another preparation is writing to {self.out}; wait for it") from error
            yield

    def remove(self) -> None:
        """Delete all intermediate files."""
        shutil.rmtree(self.root, ignore_errors=True)


def shard_plan(count: int, samples_per_shard: int, split: str) -> list[tuple[str, range]]:
    """Shard stems of a split and the sample numbers in each; sizes differ by at most one.

    >>> shard_plan(5, 2, "val")
    [('val-00000', range(0, 2)), ('val-00001', range(2, 4)), ('val-00002', range(4, 5))]
    """
    if count == 0:
        return []
    shards = -(-count // samples_per_shard)
    each, rest = divmod(count, shards)
    plan, start = [], 0
    for number in range(shards):
        stop = start + each + (number < rest)
        plan.append((shard_name(split, number).removesuffix(".tar"), range(start, stop)))
        start = stop
    return plan


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is either complete or absent."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
