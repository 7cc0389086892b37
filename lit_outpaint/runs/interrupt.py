"""Ctrl-C that lets the work in hand finish: once asks to stop at the next good place, twice stops at once."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """A context in which the first SIGINT only sets ``requested``.

    Attributes:
        requested: whether somebody wants the work to stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nfinishing this step; press Ctrl-C again to stop at once", file=sys.stderr, flush=True)
