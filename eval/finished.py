"""A finished run of ``eval run`` or ``eval compbench``: what its ``metrics.json`` holds beside the figures.

Reports and comparisons are made of these files alone, that of ``eval run`` itself too: no model and no data set.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, field_serializer

from eval.figures import Figure
from eval.files import METRICS_NAME, PICTURES_NAME, REAL_NAME, read_picture
from eval.report.loss_curve import LossCurve
from eval.report.panoramas import Note
from lit_outpaint.heldout.walks import Geometry, Pixels

METRICS_VERSION: Final = 3


class KeptPanorama(BaseModel):
    """What is kept of each panorama, or of each prompt."""

    key: str
    inputs: str
    """Checksum of start window and captions, or of the prompt with its atoms."""
    ratios: dict[str, tuple[float, float]]
    """Sums of what was counted and of how much, by the key of the figure."""


class ShownPanorama(BaseModel):
    """A panorama that reports show."""

    key: str
    global_caption: str
    captions: list[str]
    """Of the start window, then of every step."""
    notes: list[Note]
    """What the probe reads in the drawn window of every step."""

    @field_serializer("notes")
    def _named(self, notes: list[Note]) -> list[dict[str, str]]:
        return [note._asdict() for note in notes]


class EvaluationRecord(BaseModel):
    """Keys of ``metrics.json`` that only runs write which can be compared; those of prompts have no panoramas."""

    model_config = ConfigDict(frozen=True)

    subtitle: str
    settings: dict[str, Any]
    """The whole configuration."""
    units: str = "panoramas"
    """What the figures are kept for, one by one."""
    geometry: Geometry | None = None
    table_steps: list[int] = []
    """Steps at which curves are told in numbers."""
    loss: LossCurve | None = None
    """Of the training, where it was given."""
    per_panorama: list[KeptPanorama]
    """One row for each of ``units``."""
    shown: list[ShownPanorama] = []

    @field_serializer("geometry", "loss")
    def _named(self, value: Geometry | LossCurve | None) -> dict[str, Any] | None:
        return None if value is None else value._asdict()


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run, read back."""

    name: str
    """What reports of several runs call it."""
    directory: Path
    title: str
    made: Mapping[str, str]
    """Checkpoint, data, seed, versions, command."""
    figures: Mapping[str, Figure]
    record: EvaluationRecord

    @cached_property
    def panoramas(self) -> dict[str, KeptPanorama]:
        """What is kept of all of them, by key."""
        return {row.key: row for row in self.record.per_panorama}

    def real(self, key: str) -> Pixels:
        """A true panorama; there is one for those that are shown.

        Raises:
            ValueError: the picture cannot be read.
        """
        return self._picture(REAL_NAME, key)

    def drawn(self, key: str) -> Pixels:
        """What was drawn.

        Raises:
            ValueError: the picture cannot be read, or is smaller than its steps.
        """
        return self._picture(PICTURES_NAME, key)

    def _picture(self, folder: str, key: str) -> Pixels:
        path = picture_path(self.directory / folder, key)
        if not path.is_file():
            raise ValueError(f"{self.directory} must hold {folder}/{path.name}, which is missing; {_again(self.made)}")
        return np.array(read_picture(path))


def picture_path(folder: Path, key: str) -> Path:
    """The file of a panorama's picture.

    Raises:
        ValueError: the key does not do as the name of a file.
    """
    path = folder / f"{key}.png"
    if path.parent != folder or key.startswith("."):
        raise ValueError(f"keys of panoramas must do as names of files, got {key}; write the set again")
    return path


def read_runs(directories: Sequence[Path], names: Sequence[str] = ()) -> list[FinishedRun]:
    """Read several runs.

    Args:
        directories: where they lie.
        names: what they are called; those of the directories where these tell the runs apart and whole paths elsewhere,
            when empty.

    Raises:
        ValueError: see `read_run`; or a run or a name comes twice, or names and runs differ in number.
    """
    twice = [path for index, path in enumerate(directories) if path.resolve() in _resolved(directories[:index])]
    if twice:
        raise ValueError(f"runs must differ, but {twice[0]} is given twice; name each directory once")
    short = [path.resolve().name for path in directories]
    names = names or (short if len(set(short)) == len(short) else [str(path) for path in directories])
    if len(names) != len(directories) or len(set(names)) < len(names):
        raise ValueError(f"--names must be {len(directories)} different names, one for each run, got {','.join(names)}")
    return [read_run(path, name) for path, name in zip(directories, names, strict=True)]


def read_run(directory: Path, name: str = "") -> FinishedRun:
    """Read a run.

    Args:
        directory: what ``eval run`` left.
        name: what reports of several runs call it.

    Raises:
        ValueError: ``metrics.json`` is missing, damaged, of another verb or of another version.
    """
    file = directory / METRICS_NAME
    if not file.is_file():
        raise ValueError(
            f"a run must be an output directory of eval run or compbench, but {directory} holds no {METRICS_NAME}"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        made, version = dict(content["made"]), content["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} must be as eval run writes it ({error!r}); do that run again") from error
    if version != METRICS_VERSION:
        raise ValueError(f"{file} must have version {METRICS_VERSION}, got {version}; {_again(made)}")
    if "per_panorama" not in content:
        raise ValueError(
            f"a run must be an output directory of eval run or compbench, but {directory} is one of another verb"
        )
    try:
        return FinishedRun(
            name=name,
            directory=directory,
            title=content["title"],
            made=made,
            figures={key: Figure.from_json(key, told) for key, told in content["figures"].items()},
            record=EvaluationRecord.model_validate(content),
        )
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{file} is damaged ({where}: {problem['msg']}); {_again(made)}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is damaged ({error!r}); {_again(made)}") from error


def _resolved(directories: Sequence[Path]) -> set[Path]:
    return {path.resolve() for path in directories}


def _again(made: Mapping[str, str]) -> str:
    return f"do that run again: {made['command']}" if made.get("command") else "do that run again"
