"""Job scripts: resources, the signal line and one ``srun``; they hold no logic of their own."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slurm.site import Site


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one job, or each task of an array, asks for."""

    nodes: int = 1
    """Machines."""
    gpus: int = 0
    """GPUs on each machine, with one process each; 0 asks for none."""
    tasks: int | None = None
    """Processes on each machine; one a GPU, or one without GPUs, when absent."""
    cpus: int | None = None
    """Processors of each process; what the partition gives when absent."""
    mem: str | None = None
    """Memory of each machine, such as 64G."""
    time: str | None = None
    """Time limit as sbatch takes it, such as 08:00:00; that of the partition when absent."""
    signal_s: int = 90
    """Seconds before the time limit at which training is told to save and requeue (SIGUSR1)."""

    def __post_init__(self) -> None:
        for name, least in (("nodes", 1), ("gpus", 0), ("tasks", 1), ("cpus", 1), ("signal_s", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if self.time is not None and not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", self.time):
            raise ValueError(f"time must read like 90, 08:00:00 or 2-12:00:00, got {self.time!r}")
        if self.mem is not None and not re.fullmatch(r"\d+[KMGT]?", self.mem):
            raise ValueError(f"mem must read like 64G, got {self.mem!r}")

    @property
    def tasks_per_node(self) -> int:
        """Processes on each machine, resolved."""
        return self.tasks or max(self.gpus, 1)

    def directives(self) -> list[str]:
        """The options for sbatch."""
        lines = [f"--nodes={self.nodes}", f"--ntasks-per-node={self.tasks_per_node}"]
        lines += [f"--gpus-per-node={self.gpus}"] if self.gpus else []
        lines += [f"--cpus-per-task={self.cpus}"] if self.cpus else []
        lines += [f"--mem={self.mem}"] if self.mem else []
        return lines + ([f"--time={self.time}"] if self.time else [])

    def trainer_arguments(self) -> list[str]:
        """What ``fit`` has to be told of them: Lightning takes rank and node from SLURM, not the counts."""
        return [f"--trainer.devices={self.tasks_per_node}", f"--trainer.num_nodes={self.nodes}"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job or array: what runs, and how it hangs together with others."""

    name: str
    """As squeue shows it."""
    command: Sequence[str]
    """Program and arguments; srun starts it once a process."""
    log: Path
    """Where the output goes; %j, %A and %a stand for job, array and task."""
    resources: Resources = Resources()
    """Of the job, or of each task of the array."""
    array: Sequence[int] = ()
    """Numbers of the tasks; empty for a single job."""
    throttle: int | None = None
    """How many tasks of the array run at once; None for as many as fit."""
    aftercorr: str | None = None
    """Array whose task of the same number must have succeeded first."""
    preemptible: bool = False
    """Whether the program saves itself on SIGUSR1; one that does not would be killed by it."""


def render(job: Job, site: Site) -> str:
    """The batch script.

    A job may be requeued at any time: its log is appended to, and its program continues where it stopped. SIGUSR1 goes
    to the processes that srun started and not to the shell (no ``B:``).
    """
    named = [f"--job-name={shlex.quote(job.name)}", f"--output={shlex.quote(str(job.log))}"]
    options = [*named, "--open-mode=append", "--requeue"]
    if job.array:
        options.append(f"--array={ranges(job.array)}" + (f"%{job.throttle}" if job.throttle else ""))
    if job.aftercorr is not None:
        options += [f"--dependency=aftercorr:{job.aftercorr}", "--kill-on-invalid-dep=yes"]
    options += job.resources.directives()
    options += [f"--signal=SIGUSR1@{job.resources.signal_s}"] if job.preemptible else []
    options += site.directives()
    lines = ["#!/bin/bash", *(f"#SBATCH {option}" for option in options), *site.setup.splitlines()]
    if job.resources.cpus:
        # From 22.05 on srun does not take it over from sbatch.
        lines.append("export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK")
    return "\n".join([*lines, f"exec srun --kill-on-bad-exit=1 {shlex.join(job.command)}", ""])


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as SLURM writes them.

    >>> ranges([0, 1, 2, 5])
    '0-2,5'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
