"""Hand a run or a sweep to the scheduler."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from slurm import cluster
from slurm.batch import Job, Resources, render
from slurm.check import parse_fit
from slurm.record import Record, Stage, add_job
from slurm.site import Site

AFTER_TRAINING: Final = "TRAINING"
"""Stands for the number of the training's array until that is known."""
PREEMPTION: Final = "lit_outpaint.callbacks.preemption.Preemption"


def fit_job(configs: Sequence[str], overrides: Sequence[str], resources: Resources, site: Site) -> Job:
    """One training run as a job.

    Args:
        configs: experiments; the last wins.
        overrides: further arguments of ``fit``.
        resources: what it asks for; devices and nodes of the trainer follow from them.
        site: where it runs.

    Raises:
        ValueError: ``fit`` would refuse the arguments.
    """
    files = [word for config in configs for word in ("-c", config)]
    own = [*resources.trainer_arguments(), "--ckpt_path=last"]
    decided = {word.partition("=")[0] for word in own}
    if twice := [name for word in overrides if (name := word.partition("=")[0]) in decided]:
        raise ValueError(
            f"{twice[0]} behind -- would have no effect: --gpus, --tasks and --nodes say what a run gets, --resume that"
            " it continues"
        )
    words = ["fit", *files, *overrides, *own]
    config = parse_fit(words, "fit")
    words += preemption(config)
    run_dir = Path(config["runs_dir"]) / config["name"]
    return Job(
        name=str(config["name"]),
        command=[site.python, "-m", "lit_outpaint", *words],
        log=run_dir / "slurm-%j.log",
        resources=resources,
        preemptible=True,
    )


def preemption(config: dict[str, Any]) -> list[str]:
    """The argument that adds the callback which saves on SIGUSR1, unless a configuration has it."""
    callbacks = config["trainer"].get("callbacks") or []
    return (
        []
        if any(callback["class_path"] == PREEMPTION for callback in callbacks)
        else [f"--trainer.callbacks+={PREEMPTION}"]
    )


def preemption_of(record: Record) -> list[str]:
    """The same for all cells of a sweep, which share their callbacks."""
    first = record.cells[0]
    return preemption(parse_fit(first.fit, first.name)) if first.fit is not None else []


def sweep_jobs(
    record: Record, missing: dict[Stage, list[int]], resources: Resources, site: Site, throttle: int | None
) -> list[tuple[Stage, Job]]:
    """The arrays that make what is missing: one that trains, one that scores what it trained, one that scores the rest.

    Args:
        record: the sweep.
        missing: numbers of the cells to train and of those to score.
        resources: of each training; an evaluation is one process with at most one GPU.
        site: where they run.
        throttle: how many cells run at once.
    """
    log = record.directory / "slurm" / "%A_%a.log"
    extra = [*resources.trainer_arguments(), *preemption_of(record)]
    single = Resources(gpus=min(resources.gpus, 1), cpus=resources.cpus, mem=resources.mem, time=resources.time)

    def job(stage: Stage, cells: Sequence[int], after: bool = False) -> Job:
        train = stage == "train"
        command = [site.python, "-m", "slurm", "cell", str(record.directory), stage]
        return Job(
            name=f"{record.name}-{stage}",
            command=[*command, "--", *extra] if train else command,
            log=log,
            resources=resources if train else single,
            array=cells,
            throttle=throttle,
            aftercorr=AFTER_TRAINING if after else None,
            preemptible=train,
        )

    train, evaluate = missing["train"], missing["evaluate"]
    jobs: list[tuple[Stage, Job]] = [("train", job("train", train))] if train else []
    if both := [number for number in evaluate if number in train]:
        jobs.append(("evaluate", job("evaluate", both, after=True)))
    if rest := [number for number in evaluate if number not in train]:
        jobs.append(("evaluate", job("evaluate", rest)))
    return jobs


def submit_sweep(record: Record, jobs: Sequence[tuple[Stage, Job]], site: Site) -> list[str]:
    """Queue arrays, note them in the sweep's directory, and return their numbers."""
    (record.directory / "slurm").mkdir(parents=True, exist_ok=True)
    numbers: list[str] = []
    for stage, job in jobs:
        after = None if job.aftercorr is None else numbers[0]
        numbers.append(cluster.submit(render(replace(job, aftercorr=after), site)))
        add_job(record.directory, numbers[-1], stage, job.array)
        print(f"queued {job.name} as job {numbers[-1]}: {len(job.array)} cells", flush=True)
    return numbers


def submit_fit(job: Job, site: Site) -> str:
    """Queue one run and return its number.

    Raises:
        ValueError: the scheduler refuses.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    number = cluster.submit(render(job, site))
    print(f"queued {job.name} as job {number}; output: {str(job.log).replace('%j', number)}")
    return number
