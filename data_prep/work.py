"""The work directory between stages: what is done already, with which settings.

Every stage writes one file per shard under ``OUT/work/STAGE`` and renames it into place when it is complete, so a stage
that was killed continues with the missing files. A stage whose settings changed, or whose input did, starts over.
"""

import fcntl
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

from data_prep.atomic import remove_partials, write_atomic
from lit_outpaint.data.schema import SPLITS, shard_name
from lit_outpaint.system.ranks import ALONE, Share

SHAPES_NAME: Final = "shapes.json"
"""Written by ``encode`` for ``pack``: sizes of windows, latents and features."""

TEXT_SUFFIX: Final = "text.json"
"""Written by ``encode`` for ``pack``, per shard: counts and lengths of captions."""

COUNTS_SUFFIX: Final = "counts.json"
"""Written by a source for ``pack``, per shard: what was left out or mended, by cause."""

_SETTINGS: Final = "settings.json"
_DONE: Final = "done"
_STARTED_OVER: Final = "started_over"
_LOCK: Final = "lock"
_OUTPUT: Final = re.compile(r"((?:train|val)-\d{5,})\.(?:tar|jsonl)")


class Work:
    """Stages of one output directory."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.root = out / "work"
        self._share = ALONE

    @property
    def is_ours(self) -> bool:
        """Whether a preparation made the directory, and left its lock there, or it holds copies of stages."""
        return (self.root / _LOCK).is_file() or any(self.root.glob(f"*/{_SETTINGS}"))

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
            ValueError: the stage before is not complete, or other processes may be at work with other settings.
        """
        chain = self._chain(settings, after)
        directory = self.stage(name)
        recorded = directory / _SETTINGS
        with (self.root / "begin.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = json.loads(recorded.read_text()) if recorded.is_file() else None
            if known == chain:
                return directory
            if known is not None and self._share != ALONE:
                raise ValueError(
                    f"{directory} holds files of other settings or another input, which other processes may still be"
                    " writing; delete it, or give the same settings"
                )
            self.forget(name)
            directory.mkdir(parents=True)
            write_atomic(recorded, json.dumps(chain, indent=1, sort_keys=True).encode())
        return directory

    def made_with(self, name: str, settings: dict[str, Any], after: str | None = None) -> bool:
        """Whether the files of a stage were made with these settings from this input, so that ``begin`` keeps them."""
        recorded = self.stage(name) / _SETTINGS
        return recorded.is_file() and json.loads(recorded.read_text()) == self._chain(settings, after)

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

    def check_chain(self, *names: str) -> None:
        """Refuse stages that were made from another run of the stage before.

        Raises:
            ValueError: one was, or is not complete.
        """
        recorded = {name: self.settings(name) for name in names}
        for before, name in pairwise(names):
            if recorded[name]["after"] != recorded[before]:
                raise ValueError(
                    f"the stage {name!r} of {self.out} was made before {before!r} was run with other settings; "
                    "run it and those after it again"
                )

    def start_over(self) -> None:
        """Forget all stages, once: what a call that was killed has made since then is kept."""
        mark = self.root / _STARTED_OVER
        if not mark.exists():
            for path in self.root.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
            write_atomic(mark, b"")

    def end(self) -> None:
        """Note that a set was made to its end, whose stages are kept."""
        (self.root / _STARTED_OVER).unlink(missing_ok=True)

    def shards(self, name: str) -> list[str]:
        """Names of the shards that a stage made, without suffix, training first."""
        stems = {match[1] for path in self.stage(name).iterdir() if (match := _OUTPUT.fullmatch(path.name))}
        return [stem for split in SPLITS for stem in sorted(stems) if stem.startswith(f"{split}-")]

    def missing(self, name: str, stems: Iterable[str]) -> list[str]:
        """Those of ``stems`` that a stage has not made yet."""
        made = set(self.shards(name))
        return [stem for stem in stems if stem not in made]

    @contextmanager
    def lock(self, share: Share = ALONE) -> Iterator[None]:
        """Keep two preparations from writing to one directory; the ranks of one preparation let each other in.

        Args:
            share: this process among those that work together.

        Raises:
            ValueError: the directory is in use, is somebody else's, or cannot be written.
        """
        self._share = share
        try:
            # Stages delete what they find there.
            if self.root.exists() and not self.is_ours and any(self.root.iterdir()):
                raise ValueError(f"{self.root} is no directory of a preparation; move it away, or choose another --out")
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / _LOCK).open("w")
        except OSError as error:
            raise ValueError(f"cannot write to {self.out}: {error.strerror}; choose another --out") from error
        with file:
            if share == ALONE:
                self._take(file, fcntl.LOCK_EX, "another preparation")
                remove_partials(self.root)
                yield
                return
            self._take(file, fcntl.LOCK_SH, "a preparation without ranks")
            with (self.root / f"rank-{share.rank}-of-{share.world_size}.lock").open("w") as mine:
                self._take(mine, fcntl.LOCK_EX, f"another process of rank {share.rank}")
                yield

    def _chain(self, settings: dict[str, Any], after: str | None) -> Any:
        """What the files of a stage depend on."""
        return _plain({"settings": settings, "after": self.settings(after) if after else None})

    def _take(self, file: IO[str], kind: int, who: str) -> None:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{who} is writing to {self.out}; wait for it") from error
        except OSError as error:
            raise ValueError(f"{self.out} lies on a file system without locks: {error.strerror}") from error

    def forget(self, name: str) -> None:
        """Delete the files of a stage."""
        shutil.rmtree(self.stage(name), ignore_errors=True)

    def remove(self) -> None:
        """Delete all intermediate files; the lock last, for it says whose they are when this is cut short."""
        for path in self.root.iterdir() if self.root.is_dir() else ():
            if path.name != _LOCK:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
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


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
