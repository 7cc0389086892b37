"""One stage of one cell, as a task of an array or a local process runs it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from slurm.record import WANDB_ID_NAME, Cell, Record, Stage


def cell_number(record: Record, number: int | None, environment: Mapping[str, str]) -> int:
    """Which cell: the one named, or that of the task of the array.

    Raises:
        ValueError: neither says, or there is no such cell.
    """
    if number is None:
        task = environment.get("SLURM_ARRAY_TASK_ID", "")
        if not task.isdigit():
            raise ValueError("a cell is run by a task of a job array; outside of one give --cell NUMBER")
        number = int(task)
    if not 0 <= number < len(record.cells):
        raise ValueError(f"the sweep has the cells 0 to {len(record.cells) - 1}, got {number}")
    return number


def run_stage(record: Record, cell: Cell, stage: Stage, extra: Sequence[str] = ()) -> int:
    """Run a stage in this process's place (training) or below it (evaluation).

    Training replaces this process, so that the scheduler's signals reach it and its exit code is the task's.

    Args:
        record: the sweep.
        cell: one of its cells.
        stage: what to do.
        extra: further arguments of ``fit``, such as the number of devices.

    Returns:
        The exit code.
    """
    if stage == "train":
        command = fit_command(record, cell, extra)
        sys.stdout.flush()
        os.execv(command[0], command)
    assert cell.evaluate is not None
    if "train" in cell.stages and not record.done(cell, "train"):
        # What is scored counts as scored for good.
        print(f"error: {cell.name} is not trained to its end, so that it is not scored yet", file=sys.stderr)
        return 1
    code = subprocess.run([sys.executable, *cell.evaluate], check=False).returncode
    if code == 0 and (record.run_dir(cell) / WANDB_ID_NAME).is_file():
        # It loads Lightning, which takes longer than all else that happens here.
        from slurm.wandb_results import log_evaluation

        log_evaluation(record.run_dir(cell))
    return code


def fit_command(record: Record, cell: Cell, extra: Sequence[str] = ()) -> list[str]:
    """Program and arguments that train a cell."""
    assert cell.fit is not None
    return [sys.executable, "-m", "lit_outpaint", *cell.fit, *extra]
