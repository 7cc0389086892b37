"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")

LINE_EVERY_S: Final = 10.0

QUIET = False
"""Set in worker processes, where the parent reports."""


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Pass items through and say how far the work is, on stderr.

    Args:
        items: what is worked on.
        total: how many there will be.
        label: what is done to them.
    """
    if QUIET:
        yield from items
        return
    if sys.stderr.isatty():
        yield from track(items, description=label, total=total, console=Console(stderr=True), transient=True)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            print(f"{label}: {done} of {total}, {done / (now - start):.0f} a second", file=sys.stderr, flush=True)


def say(line: str) -> None:
    """One line of news on stderr; stdout is for results."""
    print(line, file=sys.stderr, flush=True)
