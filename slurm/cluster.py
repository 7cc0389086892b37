"""The scheduler's own commands: hand a script over, ask what became of it."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final, NamedTuple

TIMEOUT_S: Final = 60


class Task(NamedTuple):
    """One job or one task of an array that the scheduler still knows of."""

    job_id: str
    """Number of the job or array."""
    cell: int | None
    """Number within the array."""
    state: str
    """Of SLURM: PENDING, RUNNING, COMPLETING, REQUEUED, FAILED, ..."""

    @property
    def alive(self) -> bool:
        """Whether it runs or will run."""
        return self.state in _ALIVE


_ALIVE: Final = {
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "SUSPENDED",
    "PREEMPTED",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
}


def submit(script: str) -> str:
    """Queue a batch script and return its job number.

    Raises:
        ValueError: this machine has no SLURM, or SLURM refuses (its words are passed on).
    """
    return _run(["sbatch", "--parsable"], script).strip().split(";")[0]


def tasks(job_ids: Sequence[str]) -> list[Task]:
    """What the scheduler knows of these jobs, one entry per task; jobs it has forgotten are left out."""
    if not job_ids:
        return []
    known = []
    # One question for all jobs of the user: asked for a job that it has forgotten, squeue answers with an error.
    for line in _run(["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T"]).splitlines():
        number, state = line.strip().split("|")
        match = re.fullmatch(r"(\d+)(?:_(\d+))?", number)
        if match and match[1] in job_ids:
            known.append(Task(match[1], None if match[2] is None else int(match[2]), state))
    return known


def _run(command: list[str], text: str | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise ValueError(
            f"a cluster needs {command[0]} on PATH and there is none; log in to its head node, use --local true,"
            " or start one for trying out with slurm/dev/start.sh"
        )
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{command[0]} must answer within {TIMEOUT_S} s and did not; try again later") from error
    if done.returncode != 0:
        raise ValueError(f"{command[0]} refuses: {' '.join(done.stderr.split())}")
    return done.stdout
