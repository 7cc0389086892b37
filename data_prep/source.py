"""What a source of windows is: the first stage, and the only one that knows where windows come from."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from data_prep.atomic import write_atomic
from data_prep.config import MachineConfig
from data_prep.progress import say
from data_prep.work import COUNTS_SUFFIX, Work
from lit_outpaint.system.ranks import ALONE, Share

USED: Final = "used"
LEFT_OUT: Final = "left_out."
"""Begins the name of a count of images, or captions, that are not in the set; the cause follows."""
MENDED: Final = "mended."
"""Begins the name of a count of images that were changed to be of use."""
NOTED: Final = "noted."
"""Begins the name of a count of oddities that cost no image."""
LOST: Final = (f"{LEFT_OUT}missing", f"{LEFT_OUT}unreadable")
"""Counts of images that are there, for all that is known, but not for this machine at this time."""


LEFT_OUT_NAME: Final = "left_out.txt"
"""Beside the shards: a line for each image that is not in the set, where there are any."""
NAMED_AT_ONCE: Final = 20
"""So many of its lines are shown while preparing."""
_LEFT_OUT_SUFFIX: Final = "left_out.txt"


class Source(Protocol):
    """Writes raw shards (see ``data_prep.raw``); picklable, since engines send it to other processes."""

    name: str
    """As it stands in records and in the card."""
    max_lost: float
    """Share of its images that may be missing or unreadable, at least one unless it is 0."""

    def settings(self) -> dict[str, Any]:
        """What the windows depend on, as JSON values.

        Raises:
            ValueError: what the source reads is missing or damaged.
        """
        ...

    def stems(self) -> list[str]:
        """Names of all shards."""
        ...

    def write_shard(self, directory: Path, stem: str) -> None:
        """Write ``STEM.tar`` and, before it, the counts of what was left out or mended, if there is any to count."""
        ...

    @property
    def write_evalset(self) -> Callable[[Path], None] | None:
        """Writes the evaluation set into a directory; None for a source that has none."""
        ...


def run_source(
    work: Work, source: Source, told: Mapping[str, Any], machine: MachineConfig, share: Share = ALONE
) -> None:
    """Write this process's raw shards; the last one to finish marks the stage as complete.

    Args:
        work: the directory.
        source: of windows.
        told: its `Source.settings`, which take long where files are checked.
        machine: how the work is done.
        share: this process among those that work together.

    Raises:
        ValueError: the input is at fault, there is not one usable window to train on, or too many images are not there.
    """
    settings = {"source": source.name, **told}
    directory = work.begin("raw", settings)
    stems = source.stems()
    missing = work.missing("raw", share.of(stems))
    say(f"{source.name}: {len(missing)} of {len(stems)} shards to make" + rank_words(share))
    machine.make_engine().map(partial(source.write_shard, directory), missing, source.name)
    if share.rank == 0:
        _evalset(work, source, settings)
    if work.missing("raw", stems) or (source.write_evalset is not None and not work.is_done("evalset")):
        return
    counts = read_counts(work)
    if counts and not read_counts(work, "train-")[USED]:
        work.forget("raw")  # Whoever puts the images there has only to give the command again.
        raise ValueError(f"not one image to train on can be used: {count_words(counts)}")
    _refuse_many_lost(work, source.max_lost, counts)
    _name_left_out(work)
    work.finish("raw")
    if counts:
        say(f"{source.name}: {count_words(counts)}")


def rank_words(share: Share) -> str:
    """Which rank this is, for a line of news; empty for a process on its own."""
    return "" if share == ALONE else f" by rank {share.rank} of {share.world_size}"


def write_counts(directory: Path, stem: str, counts: Counter[str]) -> None:
    """Leave the counts of a shard for `read_counts`; before the tar, which says that the shard is done."""
    write_atomic(directory / f"{stem}.{COUNTS_SUFFIX}", json.dumps(counts, sort_keys=True).encode())


def write_left_out(directory: Path, stem: str, lines: Sequence[str]) -> None:
    """Leave a line for each image that a shard should have held; before the tar, which says that the shard is done."""
    # What a name holds that no line or no file can hold is written as Python would.
    told = "".join(" ".join(line.split()) + "\n" for line in lines).encode("utf-8", "backslashreplace")
    write_atomic(directory / f"{stem}.{_LEFT_OUT_SUFFIX}", told)


def _name_left_out(work: Work) -> None:
    """Put the lines of all shards beside the set, and show the first ones."""
    told = b"".join(path.read_bytes() for path in sorted(work.stage("raw").glob(f"*.{_LEFT_OUT_SUFFIX}")))
    path, lines = work.out / LEFT_OUT_NAME, told.decode().split("\n")[:-1]
    path.unlink(missing_ok=True)
    if lines:
        write_atomic(path, told)
    for line in lines[:NAMED_AT_ONCE]:
        say(line)
    if len(lines) > NAMED_AT_ONCE:
        say(f"{len(lines) - NAMED_AT_ONCE} more are named in {path}")


def _refuse_many_lost(work: Work, most: float, counts: Counter[str]) -> None:
    """End with the stage unfinished where too many images are not there, and forget the shards that lack some.

    Raises:
        ValueError: they are.
    """
    images = counts[USED] + sum(number for name, number in counts.items() if name.startswith(LEFT_OUT))
    lost = sum(counts[name] for name in LOST)
    if lost <= math.ceil(most * images):
        return
    for stem in work.shards("raw"):
        own = read_counts(work, stem)
        if any(own[name] for name in LOST):
            (work.stage("raw") / f"{stem}.tar").unlink()
    raise ValueError(
        f"{lost} of {images} images are missing or cannot be read, more than --max_lost {most:g} allows: put them there"
        f" and give the command again, which makes their shards alone, or raise --max_lost ({count_words(counts)})"
    )


def read_counts(work: Work, stems: str = "") -> Counter[str]:
    """The counts of raw shards, summed; empty for a source that counts nothing.

    Args:
        work: the directory.
        stems: how the names of the shards begin; all when empty.
    """
    counts: Counter[str] = Counter()
    for path in sorted(work.stage("raw").glob(f"{stems}*.{COUNTS_SUFFIX}")):
        counts.update(json.loads(path.read_bytes()))
    return counts


def count_words(counts: Mapping[str, int]) -> str:
    """Counts in one line, in the order of their names.

    >>> count_words({"used": 8, "left_out.corrupt": 1, "mended.grey": 2})
    '8 images used; left out: 1 corrupt; mended: 2 grey'
    """
    parts = [f"{counts.get(USED, 0)} images used"]
    for group, words in ((LEFT_OUT, "left out"), (MENDED, "mended"), (NOTED, "noted")):
        causes = {name.removeprefix(group): counts[name] for name in sorted(counts) if name.startswith(group)}
        if causes:
            parts.append(f"{words}: " + ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in causes.items()))
    return "; ".join(parts)


def _evalset(work: Work, source: Source, settings: dict[str, Any]) -> None:
    """Make the evaluation set, or forget the one that another source left."""
    write = source.write_evalset
    if write is None:
        work.forget("evalset")
        return
    directory = work.begin("evalset", settings)
    if not work.is_done("evalset"):
        write(directory)
        work.finish("evalset")
