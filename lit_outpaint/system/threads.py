"""How many threads a process computes with, and how they wait: settled before torch loads, which asks only once.

OpenMP counts the processors that a process may run on. It knows nothing of a container's share of their time, nor of
the other ranks on the machine, and its threads wait for each other by spinning: where they are more than the free
cores, they burn what the others need, and a step takes many times its CPU time. So the number is set from all limits,
and waiting threads sleep. What a user has set in the environment stays. Free of torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

THREADS: Final = "OMP_NUM_THREADS"
"""The number of threads, for OpenMP and the libraries that follow it."""
WAIT: Final = "OMP_WAIT_POLICY"
SPINS: Final = "GOMP_SPINCOUNT"
"""How threads wait at a barrier, and how long GNU's OpenMP spins before it lets them sleep."""

MOST_WORKERS: Final = 8
"""Loader workers that feed a GPU, where there are cores for as many."""

CGROUPS: Final = Path("/sys/fs/cgroup")
OF_PROCESS: Final = Path("/proc/self/cgroup")

_settled: set[int] = set()
"""The process whose number of threads was set here, and not by its user. What it starts takes that for a user's."""


def settle_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the number of threads and a passive wait for this process, as far as the environment says nothing.

    To be called before torch is imported.
    """
    if THREADS not in environment:
        environment[THREADS] = str(max(1, usable_cores() // ranks_here(environment)))
        _settled.add(os.getpid())
    if environment.setdefault(WAIT, "passive").lower() == "passive":
        environment.setdefault(SPINS, "0")


def threads_of_each(processes: int, environment: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """What to add to the environment of processes that this one starts side by side, so that they share its cores.

    Empty where a user has set the number of threads.
    """
    if THREADS in environment and os.getpid() not in _settled:
        return {}
    cores = int(environment[THREADS]) if THREADS in environment else usable_cores()
    return {THREADS: str(max(1, cores // processes))}


@contextmanager
def sharing_cores(processes: int) -> Iterator[None]:
    """Let processes that are started in the block share the cores of this one, whose own number stays."""
    before = os.environ.get(THREADS)
    os.environ.update(threads_of_each(processes))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(THREADS, None)
        else:
            os.environ[THREADS] = before


def loader_workers(cores: int, threads: int, *, on_cpu: bool) -> int:
    """How many loader workers a rank has where nobody says, so that these and its threads have a core each.

    Arithmetic on the CPU needs the cores more than loading does: at most two workers, and a quarter of the cores.

    Args:
        cores: of the rank.
        threads: that it computes with.
        on_cpu: whether it trains there.
    """
    most = min(2, cores // 4) if on_cpu else MOST_WORKERS
    return max(0, min(most, cores - threads))


def threads_beside(cores: int, workers: int | None, *, on_cpu: bool) -> int:
    """How many threads are left to a rank beside its loader workers, at least one.

    Args:
        cores: of the rank.
        workers: as many as a user wants; None leaves it to `loader_workers`.
        on_cpu: whether it trains there.
    """
    return max(1, cores - (loader_workers(cores, 1, on_cpu=on_cpu) if workers is None else workers))


def threads_told(environment: MutableMapping[str, str] = os.environ) -> int:
    """The number of threads that the environment names; 1 where it names none."""
    return _count(environment.get(THREADS, "").partition(",")[0])


def ranks_sharing(devices: int, environment: MutableMapping[str, str] = os.environ) -> int:
    """Ranks that share the cores of this process: what launchers say, else one for each of the trainer's devices."""
    told = {"LOCAL_WORLD_SIZE", "SLURM_STEP_TASKS_PER_NODE"} & environment.keys()
    return ranks_here(environment) if told else max(1, devices)


def usable_cores(cgroups: Path = CGROUPS, of_process: Path = OF_PROCESS) -> int:
    """Cores that this process has for itself: those it may run on, and no more than its container's share of time.

    Two processors of one core count once, as in torch's own default.

    Args:
        cgroups: where control groups are mounted.
        of_process: says which of them the process is in.
    """
    return min(_physical_cores(), usable_processors(cgroups, of_process))


def usable_processors(cgroups: Path = CGROUPS, of_process: Path = OF_PROCESS) -> int:
    """The same, two processors of one core counted as two: for processes that do not compute in step.

    A share of time is rounded down: a thread that comes on top would keep all others waiting.
    """
    shares = [int(share) for share in _quotas(cgroups, of_process)]
    return max(1, min([len(_processors()), *shares]))


def ranks_here(environment: MutableMapping[str, str]) -> int:
    """Processes of this job that share the cores that this one may run on, as torchrun or SLURM say; 1 if alone."""
    if "LOCAL_WORLD_SIZE" in environment:
        return _count(environment["LOCAL_WORLD_SIZE"])
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", "1").partition("(")[0].partition(",")[0]
    # srun usually binds each task to cores of its own, which are then all that it may run on.
    bound = len(_processors()) < _count(environment.get("SLURM_CPUS_ON_NODE", "1"))
    return 1 if bound else _count(tasks)


def _count(text: str) -> int:
    return max(1, int(text)) if text.isdigit() else 1


def _processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _physical_cores() -> int:
    """Cores behind the processors that this process may run on; each processor is one where the system does not say."""
    cores = set()
    for number in _processors():
        siblings = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        cores.add(siblings.read_text().strip() if siblings.is_file() else str(number))
    return len(cores)


def _quotas(cgroups: Path, of_process: Path) -> Iterator[float]:
    """Shares of time, in cores, of the control groups around this process: versions 1 and 2, each with its parents."""
    try:
        lines = of_process.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [cgroups / controllers, cgroups / "cpu"] if controllers else [cgroups, cgroups / "unified"]
        for mount in mounts:
            group = mount / path.lstrip("/")
            for place in (group, *group.parents):
                if place.is_relative_to(mount):
                    yield from _quota(place)


def _quota(place: Path) -> Iterator[float]:
    try:
        if (place / "cpu.max").is_file():
            quota, period = (place / "cpu.max").read_text().split()
        else:
            quota, period = ((place / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        if quota.isdigit() and int(period) > 0:  # "max", or -1 in version 1, is no limit.
            yield int(quota) / int(period)
    except (OSError, ValueError):
        return
