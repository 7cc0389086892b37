"""Which part of the work is this process's, when many share it: shards to make, pictures to widen.

Items are dealt by *global* rank: the number of a process among all processes on all nodes. The local rank repeats on
every node, so that dealing by it does some items twice and others never.
"""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from lit_outpaint.system.settings import setting

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class RankConfig:
    """Which process this is among many that share the work; found from torchrun or SLURM when left out."""

    rank: int | None = setting(None)
    """Number of this process among all, from 0."""
    world_size: int | None = setting(None)
    """How many processes there are."""

    def __post_init__(self) -> None:
        if (self.rank is None) != (self.world_size is None):
            raise ValueError("rank and world_size go together: give both, or neither to take them from the environment")


class Share(NamedTuple):
    """This process among all."""

    rank: int
    world_size: int

    def of(self, items: Sequence[_Item]) -> list[_Item]:
        """The items of this process; every item belongs to exactly one rank."""
        return list(items[self.rank :: self.world_size])


ALONE = Share(0, 1)


def find_share(config: RankConfig, environment: Mapping[str, str]) -> Share:
    """Rank and number of processes, from the settings or else from the environment.

    A process counts within its ``torchrun`` or ``srun`` step, and a job array multiplies: task 2 of an array whose
    tasks run 4 processes each holds the ranks 8 to 11.

    Args:
        config: explicit numbers, which win.
        environment: of the process.

    Raises:
        ValueError: the numbers do not fit together, or the array has gaps.
    """
    if config.rank is not None and config.world_size is not None:
        return _checked(Share(config.rank, config.world_size))
    index, tasks = _array(environment)
    within = _step(environment)
    return _checked(Share(index * within.world_size + within.rank, tasks * within.world_size))


def local_rank(environment: Mapping[str, str]) -> int:
    """Number of this process on its node: only for choosing one of the node's GPUs."""
    return int(environment.get("LOCAL_RANK", environment.get("SLURM_LOCALID", 0)))


def in_slurm_step(environment: Mapping[str, str]) -> bool:
    """Whether ``srun`` started this process: only then do SLURM's variables say which of several it is.

    Only a step of srun has a numbered step. The script of a batch job and a shell of ``salloc`` run once, whatever
    SLURM_NTASKS says, and must not take one share of many.
    """
    needed = ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID")
    return bool(re.fullmatch(r"\d+", environment.get("SLURM_STEP_ID", ""))) and all(
        name in environment for name in needed
    )


def is_rank_of_srun(environment: Mapping[str, str]) -> bool:
    """Whether ``srun`` started this process as a rank of a training run.

    Raises:
        ValueError: it did, and does not say how ranks lie on the nodes.
    """
    if not in_slurm_step(environment):
        return False
    tasks = _number(environment, "SLURM_NTASKS")
    for name in ("SLURM_LOCALID", "SLURM_NODEID"):
        _number(environment, name)
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in environment:
        raise ValueError(
            f"srun must say --ntasks-per-node, by which ranks find each other; got {tasks} tasks without it"
        )
    return True


def end_children(processes: list[subprocess.Popen], grace_s: float = 5.0) -> None:
    """End the ranks that a failed process started: they may wait for it, over NCCL for ever.

    Args:
        processes: emptied, so that whoever watches them does not take their end for a fault.
        grace_s: how long they may take to say what went wrong with them, all together.
    """
    ending = processes[:]
    processes.clear()
    end = time.monotonic() + grace_s
    for process in ending:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def _step(environment: Mapping[str, str]) -> Share:
    """This process among those that one launcher started."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return Share(int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    if in_slurm_step(environment):
        return Share(_number(environment, "SLURM_PROCID"), _number(environment, "SLURM_STEP_NUM_TASKS"))
    return ALONE


def _array(environment: Mapping[str, str]) -> tuple[int, int]:
    """Position of this task in its job array, and how many tasks that has."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return 0, 1
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
    task, first, last, count = (_number(environment, name) for name in names)
    if last - first + 1 != count:
        raise ValueError(
            f"the job array must have consecutive numbers, got {count} tasks from {first} to {last};"
            " give --rank and --world_size, or submit one task: it does all that is missing"
        )
    return task - first, count


def _number(environment: Mapping[str, str], name: str) -> int:
    """A variable that SLURM sets.

    Raises:
        ValueError: it is missing, or no number: somebody set the others by hand.
    """
    said = environment.get(name, "")
    if not re.fullmatch(r"\d+", said):
        raise ValueError(
            f"{name} must be a number beside the other variables of SLURM, got {said!r}; unset these, or give --rank"
            " and --world_size"
        )
    return int(said)


def _checked(share: Share) -> Share:
    if not 0 <= share.rank < share.world_size:
        raise ValueError(f"rank must lie in [0, world_size), got rank {share.rank} of {share.world_size}")
    return share
