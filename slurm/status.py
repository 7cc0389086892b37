"""Where a sweep stands: what is done by the files, what runs or waits by the scheduler."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from slurm import cluster
from slurm.cluster import Task
from slurm.record import Cell, Record, Stage, read_jobs


class CellStatus(NamedTuple):
    """State of one cell."""

    cell: Cell
    """Which."""
    stages: dict[Stage, str]
    """State by stage: done, missing, or what the scheduler says in small letters."""
    step: int | None
    """Last step that is logged."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return set(self.stages.values()) <= {"done"}


def sweep_status(record: Record) -> list[CellStatus]:
    """State of every cell; the scheduler is asked only when something was handed to it and is not done."""
    jobs = read_jobs(record.directory)
    unfinished = any(record.missing(stage) for stage in ("train", "evaluate"))
    tasks = cluster.tasks([job["job_id"] for job in jobs]) if jobs and unfinished else []
    queued = states(jobs, tasks)
    return [
        CellStatus(
            cell,
            {
                stage: "done" if record.done(cell, stage) else queued.get((stage, number), "missing")
                for stage in cell.stages
            },
            last_step(record.run_dir(cell) / "metrics.csv"),
        )
        for number, cell in enumerate(record.cells)
    ]


def states(jobs: Iterable[Mapping[str, object]], tasks: Sequence[Task]) -> dict[tuple[Stage, int], str]:
    """What the scheduler says of each stage and cell number; a later job wins, and one that is over counts for nothing.

    Args:
        jobs: what was handed over, oldest first.
        tasks: what the scheduler knows.
    """
    said: dict[tuple[Stage, int], str] = {}
    for job in jobs:
        for task in tasks:
            if task.job_id == job["job_id"] and task.cell is not None and task.alive:
                said[job["stage"], task.cell] = task.state.lower()  # type: ignore[index]
    return said


def queued(record: Record, stage: Stage) -> set[int]:
    """Numbers of the cells that run or wait in a stage."""
    jobs = read_jobs(record.directory)
    tasks = cluster.tasks([job["job_id"] for job in jobs]) if jobs else []
    return {number for of, number in states(jobs, tasks) if of == stage}


def last_step(metrics: Path) -> int | None:
    """The last step in a ``metrics.csv``; None before there is one."""
    if not metrics.is_file():
        return None
    with metrics.open(newline="", encoding="utf-8") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
    return max(steps, default=None)


def status_lines(statuses: Sequence[CellStatus]) -> list[str]:
    """A table for the terminal, with a count at the end."""
    rows: list[tuple[str, ...]] = [("cell", "train", "evaluate", "last step")]
    for status in statuses:
        stages = [status.stages.get(stage, "-") for stage in ("train", "evaluate")]
        rows.append((status.cell.name, *stages, "-" if status.step is None else str(status.step)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    done = sum(status.done for status in statuses)
    return [*lines, f"{done} of {len(statuses)} cells are done"]
