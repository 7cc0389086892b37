"""The cells of a sweep without a cluster: the same command lines, some at a time, on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

from lit_outpaint.system.threads import threads_of_each
from slurm.launch import preemption_of
from slurm.record import Cell, Record, Stage

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, a service manager or a scheduler sends to have work end."""


class Stopped(Exception):
    """A signal ended the sweep before all cells were done."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}; the same command continues with the cells that are missing")
        self.number = number


def run_cells(record: Record, cells: Sequence[Cell], jobs: int) -> list[str]:
    """Train and score cells; what is done already is skipped, and a failure does not stop the others.

    Args:
        record: the sweep.
        cells: which of it.
        jobs: how many run at once; the processors are shared out among them unless OMP_NUM_THREADS says otherwise.

    Returns:
        One line per stage that failed.

    Raises:
        Stopped: one of `STOPPING` came; a training has saved itself, and no process of a cell runs any more.
    """
    environment = {**os.environ, **threads_of_each(jobs)}
    extra = ["--", *preemption_of(record)]
    with _Children() as children, ThreadPoolExecutor(jobs) as pool:
        failed = list(pool.map(lambda cell: _run_cell(record, cell, extra, environment, children), cells))
    missing = any(not record.done(cell, stage) for cell in cells for stage in cell.stages)
    if missing and children.stopped_by is not None:
        raise Stopped(children.stopped_by)
    return [line for line in failed if line]


class _Children:
    """A context in which `STOPPING` is passed on to the cells: once to let them save, twice to end them.

    Each has a process group of its own, so that a signal reaches what it started, and reaches it once: a terminal
    sends Ctrl-C to everybody in the foreground, and training takes no SIGINT for a reason to save.
    """

    def __init__(self) -> None:
        self.stopped_by: signal.Signals | None = None
        self._running: set[subprocess.Popen[bytes]] = set()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "_Children":
        # What is ignored, as SIGHUP is under nohup, stays ignored.
        taken = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._on_signal) for number in taken}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stopped(self) -> bool:
        """Whether no more is to be started."""
        return self.stopped_by is not None

    def run(self, command: Sequence[str], log: Path, environment: dict[str, str]) -> int:
        """Run a command to its end and return its exit code; its output goes behind what ``log`` holds."""
        with (
            log.open("ab") as file,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, process_group=0
            ) as child,
        ):
            self._running.add(child)
            if self.stopped():  # It came between the last look and now.
                _send(child, signal.SIGTERM)
            code = child.wait()
            self._running.discard(child)
        return code

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        sent = signal.SIGTERM if self.stopped_by is None else signal.SIGKILL
        self.stopped_by = self.stopped_by or signal.Signals(number)
        running = list(self._running)
        for child in running:
            _send(child, sent)
        if sent == signal.SIGTERM and running:
            print(f"slurm: {len(running)} cells save and stop; a second signal ends them at once", file=sys.stderr)


def _send(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)


def _run_cell(
    record: Record, cell: Cell, extra: Sequence[str], environment: dict[str, str], children: _Children
) -> str | None:
    number = record.cells.index(cell)
    for stage in cell.stages:
        if record.done(cell, stage):
            continue
        if children.stopped():
            return None
        log = log_path(record, cell, stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        print(f"{cell.name}: {stage}", flush=True)
        command = [sys.executable, "-m", "slurm", "cell", str(record.directory), stage, f"--cell={number}"]
        code = children.run([*command, *extra] if stage == "train" else command, log, environment)
        if (code != 0 or not record.done(cell, stage)) and not children.stopped():
            print(f"{cell.name}: {stage} did not finish; see {log}", file=sys.stderr, flush=True)
            return f"{cell.name}: {stage} ended with code {code}, see {log}"
    return None


def log_path(record: Record, cell: Cell, stage: Stage) -> Path:
    """Output of a stage that runs on this machine."""
    return record.run_dir(cell) / f"{stage}.log"
