"""Progress of a run: a bar on a terminal, one plain line per step in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from lit_outpaint.canvas.journal import StepRecord

_CAPTION_CHARS = 48


class Progress:
    """A context that is told of every step that is drawn or put back.

    Args:
        total: steps of the plan.
        done: steps that were finished before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self.done = self._done_before = done
        self._started = time.monotonic()
        self._bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if self.done:
            print(f"continuing after {self.done} of {self.total} steps", flush=True)
        if sys.stdout.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[pace]}"),
                TimeRemainingColumn(),
            )
            self._bar = RichProgress(*columns, console=Console(file=sys.stdout))
            self._task = self._bar.add_task("outpaint", total=self.total, completed=self.done, pace="")
            self._bar.start()
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def denoise(self, done: int, total: int) -> None:
        """Show how far windows are that are denoised together; none of them is finished before the last timestep."""
        if self._bar is None:
            print(f"timestep {done} of {total}, all windows together", flush=True)
        else:
            self._bar.update(self._task, description=f"timestep {done} of {total}", pace="all windows together")

    def advance(self, record: StepRecord) -> None:
        """Show that the step of ``record`` is drawn."""
        self._show(record, f"{record.seconds:.1f} s")

    def put_back(self, record: StepRecord) -> None:
        """Show that the step of ``record`` is as it was kept; nothing was drawn for it now."""
        self._show(record, "not drawn, put back from kept/")

    def _show(self, record: StepRecord, how: str) -> None:
        self.done += 1
        if self._bar is None:
            print(
                f"{self.done}/{self.total}: step {record.step} {record.direction} ({how}): {record.local_caption}",
                flush=True,
            )
            return
        pace = (time.monotonic() - self._started) / (self.done - self._done_before)
        self._bar.update(
            self._task,
            completed=self.done,
            description=escape(f"{record.step} {record.direction}: {record.local_caption}"[:_CAPTION_CHARS]),
            pace=f"{pace:.1f} s/step",
        )
