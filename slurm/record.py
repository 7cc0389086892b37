"""The cells of a sweep, written down in its directory, and what of them is done.

runs/sweeps/NAME/sweep.json     every cell with its command lines; a cell keeps its number for good
                 jobs.json      what was handed to the scheduler
                 CELL/          an ordinary run directory of ``fit``; CELL/eval is the evaluation's
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from lit_outpaint.system.files import written_whole
from slurm.sweep_file import RESERVED, Sweep, arguments, split_settings

SCHEMA: Final = 1
WANDB_ID_NAME: Final = "wandb_run.txt"
"""As in ``lit_outpaint.training.logger``, which takes seconds to load; a test holds the two together."""
SWEEPS: Final = Path("runs/sweeps")
Stage = Literal["train", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run: a combination of the grid under one seed."""

    name: str
    """Of its directory."""
    labels: dict[str, str]
    """Label by axis."""
    seed: int
    """Of the run, or of the evaluation where nothing is trained."""
    fit: list[str] | None
    """Words after ``python -m lit_outpaint``; None trains nothing."""
    evaluate: list[str] | None
    """Words after ``python``; None scores nothing."""

    @property
    def stages(self) -> list[Stage]:
        """What there is to do, in order."""
        both: dict[Stage, list[str] | None] = {"train": self.fit, "evaluate": self.evaluate}
        return [stage for stage, words in both.items() if words is not None]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A sweep as it lies in its directory."""

    directory: Path
    """Where everything of it lies."""
    name: str
    """Of the sweep; W&B groups its runs by it."""
    world: str
    """scapes, coco, ..."""
    source: str
    """The file it was made from."""
    report: list[str]
    """Figures of the table."""
    cells: list[Cell]
    """A cell's place in the list is its number in job arrays."""

    def run_dir(self, cell: Cell) -> Path:
        """Directory of a cell."""
        return self.directory / cell.name

    def done(self, cell: Cell, stage: Stage) -> bool:
        """Whether a stage has left what it leaves last."""
        if stage == "evaluate":
            return (self.run_dir(cell) / "eval" / "metrics.json").is_file()
        return finished(self.run_dir(cell))

    def missing(self, stage: Stage) -> list[int]:
        """Numbers of the cells that lack a stage."""
        return [number for number, cell in enumerate(self.cells) if stage in cell.stages and not self.done(cell, stage)]


def make_record(
    sweep: Sweep, source: Path, directory: Path, seeds: Sequence[int], overrides: Sequence[str] = ()
) -> Record:
    """The cells of a sweep.

    Args:
        sweep: what to vary.
        source: its file.
        directory: where everything of it goes.
        seeds: one run of every combination for each.
        overrides: further arguments of ``fit`` for all cells; they win over the file.

    Raises:
        ValueError: one of them is what the sweep itself sets.
    """
    names = [word.partition("=")[0].removeprefix("--") for word in overrides]
    if reserved := [name for name in names if name in RESERVED]:
        raise ValueError(f"--{reserved[0]} behind -- would have no effect; the sweep itself sets it in every cell")
    cells = []
    for choice in sweep.choices():
        trained, scored = split_settings(choice.settings)
        for seed in seeds:
            name = f"{choice.name}-seed{seed}"
            fit = None
            if sweep.base:
                files = [word for file in sweep.base for word in ("-c", file)]
                places = [f"--name={name}", f"--runs_dir={directory}", "--overwrite=false", "--ckpt_path=last"]
                seeded = [f"--seed_everything={seed}", f"--data.seed={seed}"]
                fit = ["fit", *files, *arguments(trained), *overrides, *places, *seeded]
            evaluate = None
            if sweep.evaluate is not None:
                braces = {"{run}": str(directory / name), "{seed}": str(seed)}
                evaluate = [_filled(word, braces) for word in [*shlex.split(sweep.evaluate)[1:], *arguments(scored)]]
            cells.append(Cell(name=name, labels=choice.labels, seed=seed, fit=fit, evaluate=evaluate))
    return Record(
        directory=directory,
        name=sweep.name,
        world=sweep.world,
        source=str(source),
        report=list(sweep.report),
        cells=cells,
    )


def _filled(word: str, braces: Mapping[str, str]) -> str:
    """A word with what its braces stand for; others, such as those of a YAML mapping, are left alone."""
    for name, value in braces.items():
        word = word.replace(name, value)
    return word


def merged(record: Record) -> Record:
    """The record with what its directory holds already: old cells keep their numbers, new ones come behind them.

    Raises:
        ValueError: a cell of the same name was made by other settings, or the axes are others.
    """
    if not (record.directory / "sweep.json").exists():
        return record
    old = load_record(record.directory)
    before, now = ({tuple(cell.labels) for cell in cells} for cells in (old.cells, record.cells))
    if before and now and before != now:
        axes = [" and ".join(next(iter(some))) or "none" for some in (before, now)]
        raise ValueError(
            f"{record.directory} holds runs of other axes ({axes[0]}; the file has {axes[1]}), which no table tells"
            " apart; give another --out, or remove the directory to start over"
        )
    new = {cell.name: cell for cell in record.cells}
    for cell in old.cells:
        if cell.name in new and new[cell.name] != cell:
            raise ValueError(
                f"{record.directory} holds the run {cell.name} of other settings; give another --out, or remove the"
                " directory to start over"
            )
    known = {cell.name for cell in old.cells}
    return replace(record, cells=[*old.cells, *(cell for cell in record.cells if cell.name not in known)])


def load_record(directory: Path) -> Record:
    """Read ``sweep.json``.

    Raises:
        ValueError: there is none, or it is of another version.
    """
    path = directory / "sweep.json"
    if not path.is_file():
        raise ValueError(f"{directory} must be the directory of a sweep, but holds no sweep.json; see {SWEEPS}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        schema, cells = values.pop("schema"), [Cell(**cell) for cell in values.pop("cells")]
        record = Record(directory=directory, cells=cells, **values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); run `python -m slurm sweep` of its file again") from error
    if schema != SCHEMA:
        raise ValueError(f"{path} has version {schema}, this program reads {SCHEMA}")
    return record


def save_record(record: Record) -> None:
    """Write ``sweep.json``, whole or not at all."""
    values: dict[str, Any] = {"schema": SCHEMA, **asdict(record)}
    del values["directory"]
    write_json(record.directory / "sweep.json", values)


def find_sweep(name: str) -> Path:
    """Directory of a sweep given by directory, by name, or by the file it was made from."""
    given = Path(name)
    candidates = [given, SWEEPS / name, SWEEPS / given.stem]
    return next((path for path in candidates if (path / "sweep.json").is_file()), given)


def finished(run_dir: Path) -> bool:
    """Whether training in a run directory came to its end: ``lit_outpaint.cli.fit.TrainingRecord`` says so."""
    try:
        said = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(said, Mapping) and said.get("finished_at_step") is not None


def add_job(directory: Path, job_id: str, stage: Stage, cells: Sequence[int]) -> None:
    """Note what was handed over."""
    jobs = [*read_jobs(directory), {"job_id": job_id, "stage": stage, "cells": list(cells)}]
    write_json(directory / "jobs.json", jobs)


def read_jobs(directory: Path) -> list[dict[str, Any]]:
    """Everything that was handed over, oldest first."""
    path = directory / "jobs.json"
    jobs: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return jobs


def write_json(path: Path, values: object) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path, shared=True) as draft:
        draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
