"""Who works through the shards of a stage: this process, its child processes, or Ray.

An engine maps a function over shard names and nothing more. A function writes the files of its shard and renames them
into place, so that it may be killed and called again, and the bytes do not depend on the engine.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Any, Literal, Protocol, TypeVar

from data_prep import progress as reporting
from data_prep.progress import progress
from lit_outpaint.system.threads import sharing_cores

EngineName = Literal["local", "ray"]

T = TypeVar("T")


class Engine(Protocol):
    """Works through shards."""

    def map(self, work: Callable[[str], T], stems: Sequence[str], label: str) -> list[T]:
        """Call ``work`` on every stem, in any order.

        Args:
            work: picklable; may be called again for the same stem.
            stems: names of shards.
            label: what is done to them, for the progress bar.

        Returns:
            The results in the order of ``stems``.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """This process, or several of this machine."""

    processes: int = 1

    def map(self, work: Callable[[str], T], stems: Sequence[str], label: str) -> list[T]:
        """Do the work of each stem; with one process, ``work`` itself reports its progress sample by sample."""
        if self.processes == 1 or len(stems) < 2:
            return [work(stem) for stem in stems]
        # Fresh processes: a fork of a process that has torch threads running may hang.
        context = get_context("forkserver")
        count = min(self.processes, len(stems))
        try:
            with sharing_cores(count), ProcessPoolExecutor(count, context, initializer=_start_worker) as pool:
                return list(progress(pool.map(work, stems), len(stems), label))
        except BrokenProcessPool as error:
            raise OSError(
                f"a process of {label} was killed, perhaps for want of memory; give fewer --workers, and the same "
                "command continues"
            ) from error


@dataclass(frozen=True)
class RayEngine:
    """Tasks of a Ray cluster: the one that ``RAY_ADDRESS`` names, else one that lives as long as this process.

    All nodes must see the output directory, and the input where the stage reads one; relative paths are those of this
    process, whose directory they must see, too.
    """

    processes: int
    """CPUs of the cluster that is started here."""
    gpus: float = 0
    """GPUs that a task takes."""

    def map(self, work: Callable[[str], T], stems: Sequence[str], label: str) -> list[T]:
        """Do the work of each stem, as Ray tasks."""
        ray = _ray()
        if not ray.is_initialized():
            # A cluster that runs already has its own counts, and Ray refuses to be told others.
            own = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": self.processes, "include_dashboard": False}
            with sharing_cores(self.processes):
                ray.init(log_to_driver=False, logging_level="warning", **own)
        # One thread a task, unless torch is told otherwise: Ray sets OMP_NUM_THREADS to the CPUs of the task.
        task = ray.remote(num_cpus=1, num_gpus=self.gpus)(_quietly)
        try:
            shared = ray.put(work)
        except TypeError as error:
            raise ValueError(f"{label}: this cannot be sent to Ray's tasks ({error}); use --engine local") from error
        here = os.getcwd()
        waiting = {task.remote(shared, stem, here): place for place, stem in enumerate(stems)}
        results: list[Any] = [None] * len(stems)

        def finished() -> Any:
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1)
                results[waiting.pop(done[0])] = _get(ray, done[0])
                yield done[0]

        for _ in progress(finished(), len(stems), f"{label} (ray)"):
            pass
        return results


def make_engine(name: EngineName, processes: int, gpus: float = 0) -> Engine:
    """The engine of a stage.

    Args:
        name: ``local`` or ``ray``.
        processes: how many shards to work on at once on this machine.
        gpus: GPUs that one shard takes under Ray.

    Raises:
        ValueError: Ray is asked for and not installed.
    """
    if name == "local":
        return LocalEngine(processes)
    _ray()
    return RayEngine(processes, gpus)


def _ray() -> Any:
    # Ray would report its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Tasks would give way to everything else on the machine; here they are the work.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # A task without GPUs must not have them hidden from it; the warning about a coming change says just that.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "engine ray needs the extra 'ray' (pip install 'lit-outpaint[ray]'), which is not installed; or use"
            " --engine local"
        ) from error
    return ray


def _get(ray: Any, reference: Any) -> Any:
    """The result of a task; what it raised is raised as it was, so that bad input gets its one line."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, ValueError | OSError) else error from None


def _quietly(work: Callable[[str], T], stem: str, directory: str) -> T:
    reporting.QUIET = True
    try:
        os.chdir(directory)  # Ray starts its processes where the cluster was started.
    except OSError as error:
        raise ValueError(f"engine ray: a node cannot see {directory}, where this was started: {error}") from error
    return work(stem)


def _start_worker() -> None:
    """Leave the progress bar to the parent, and end when it is killed."""
    reporting.QUIET = True
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
