"""Progress of a run: a bar on a terminal, one plain line per step in a log."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from lit_outpaint.canvas.journal import StepRecord


class Progress:
    """A context that is told of every finished step.

    Args:
        total: steps of the plan.
        done: steps that were finished before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self.done = done
        self._bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if self.done:
            print(f"going on after step {self.done} of {self.total}", flush=True)
        if sys.stdout.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = RichProgress(*columns, console=Console(file=sys.stdout))
            self._task = self._bar.add_task("outpaint", total=self.total, completed=self.done)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, record: StepRecord) -> None:
        """Show that the step of ``record`` is done."""
        self.done = record.step + 1
        if self._bar is not None:
            self._bar.update(
                self._task, completed=self.done, description=f"{record.direction}: {record.local_caption}"[:60]
            )
            return
        print(
            f"step {self.done}/{self.total} {record.direction} ({record.seconds:.1f} s): {record.local_caption}",
            flush=True,
        )
