"""The cells of a sweep without a cluster: the same command lines, some at a time, on this machine."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slurm.record import Cell, Record, Stage


def run_cells(record: Record, cells: Sequence[Cell], jobs: int) -> list[str]:
    """Train and score cells; what is done already is skipped, and a failure does not stop the others.

    Args:
        record: the sweep.
        cells: which of it.
        jobs: how many run at once; the processors are shared out among them unless OMP_NUM_THREADS says otherwise.

    Returns:
        One line per stage that failed.
    """
    threads = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    children: set[subprocess.Popen[bytes]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            failed = list(pool.map(lambda cell: _run_cell(record, cell, environment, children), cells))
        except KeyboardInterrupt:
            # They got the terminal's signal too; those that were started in the background did not.
            for child in list(children):
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise
    return [line for line in failed if line]


def _run_cell(
    record: Record, cell: Cell, environment: dict[str, str], children: set[subprocess.Popen[bytes]]
) -> str | None:
    for stage in cell.stages:
        if record.done(cell, stage):
            continue
        log = log_path(record, cell, stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        print(f"{cell.name}: {stage}", flush=True)
        number = record.cells.index(cell)
        command = [sys.executable, "-m", "slurm", "cell", str(record.directory), stage, f"--cell={number}"]
        with log.open("ab") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as child:
            children.add(child)
            code = child.wait()
            children.discard(child)
        if code != 0 or not record.done(cell, stage):
            print(f"{cell.name}: {stage} did not finish; see {log}", file=sys.stderr, flush=True)
            return f"{cell.name}: {stage} ended with code {code}, see {log}"
    return None


def log_path(record: Record, cell: Cell, stage: Stage) -> Path:
    """Output of a stage that runs on this machine."""
    return record.run_dir(cell) / f"{stage}.log"
