"""``run.yaml``: everything an outpainting run needs to continue, and how it came to be."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.canvas.edits import Edit
from lit_outpaint.canvas.plan import Plan, parse_plan
from lit_outpaint.system.files import written_whole

RUN_NAME = "run.yaml"
Pending = Literal["plan", "steps", "edit", "undo", "layout"]
_PACKAGES = ("lit-outpaint", "torch", "diffusers", "transformers", "numpy", "pillow", "zarr")
_BEFORE = {"global_with_layout": "whole"}
"""What runs with a layout did that were begun before they could be told otherwise."""
_SECRET = re.compile(r"(?:^|[._-])(?:api_?key|key|token|secret|password|credentials?)$", re.IGNORECASE)


class Relayout(BaseModel):
    """Another layout that a run was given; see `lit_outpaint.runs.layouts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    """From 1, those that were undone included; 0 is the layout that the run began with."""
    num_parts: int = Field(ge=1)
    """How many entries of the record's ``steps`` it was made for."""
    num_edits: int = Field(ge=0)
    """How many edits the record then had, with those that this layout asks for."""
    undone: bool = False
    """Whether it is no longer in force."""


class OutpaintRecord(BaseModel):
    """What a run was asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str]
    """The arguments that started the run; values of secrets are masked."""
    config: dict[str, Any]
    """Every setting, defaults included."""
    steps: list[str]
    """The plan as it was given, then what was added by each resume."""
    edits: list[Edit] = []
    """Steps that were drawn again, oldest first."""
    relayouts: list[Relayout] = []
    """Layouts that took the place of the one the run began with, oldest first."""
    finished: bool
    """Whether all steps are done and the picture is written."""
    pending: Pending | None = None
    """What a run that is not finished is at: its plan as it began, or what was lost of it; else what the latest command
    asked for: added steps, an edit, an undo, another layout. None when it is finished."""
    image_sha256: str
    """Of the pixels that the run started from."""
    model_fingerprint: str
    """Of the model's files, so that a run does not continue with other weights; see
    `lit_outpaint.runs.fingerprint`."""
    versions: dict[str, str]
    """Versions of Python and of the packages that the pixels depend on."""

    @classmethod
    def load(cls, directory: Path) -> OutpaintRecord:
        """Read the record of a run.

        Raises:
            ValueError: the directory holds no run, or its record is damaged.
        """
        path = directory / RUN_NAME
        if not path.is_file():
            raise ValueError(
                f"a run to resume must hold {RUN_NAME}, {directory} does not; start it with --image and --out"
            )
        try:
            record = cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "it"
            raise ValueError(f"{path} is no run record ({where}: {problem['msg']})") from error
        except RecursionError as error:
            raise ValueError(f"{path} is no run record: it is nested too deeply") from error
        except (yaml.YAMLError, ValueError) as error:  # ValueError: no text, or what looks like a date, but is none.
            raise ValueError(f"{path} is no run record: {' '.join(str(error).split())}") from error
        if not isinstance(record.config.get("caption"), str):
            raise ValueError(f"{path} is no run record (config.caption: must be a text)")
        if record.config.get("layout") is not None:
            record = record.model_copy(update={"config": _BEFORE | record.config})
        return record if record.finished or record.pending else record.unfinished(_pending_by_looks(record))

    def unfinished(self, pending: Pending) -> OutpaintRecord:
        """The record of the run while it is at something."""
        return self.model_copy(update={"finished": False, "pending": pending})

    def seed_of(self, step: int) -> int:
        """The seed that a step is drawn from: of its latest edit in force, else the run's."""
        seeds = (edit.seed for edit in reversed(self.edits) if edit.step == step and not edit.undone)
        return next(seeds, int(self.config["seed"]))

    def save(self, directory: Path) -> None:
        """Write the record in one go."""
        with written_whole(directory / RUN_NAME) as draft, draft.open("w", encoding="utf-8") as file:
            yaml.safe_dump(self.model_dump(), file, sort_keys=False, allow_unicode=True, width=120)


def _pending_by_looks(record: OutpaintRecord) -> Pending:
    """What a run is at that was written before runs said it, as far as that can be told."""
    if record.edits:
        last = record.edits[-1]
        return "undo" if last.undone else "layout" if last.group else "edit"
    return "steps" if len(record.steps) > 1 else "plan"


def plan_of(record: OutpaintRecord, num_parts: int | None = None) -> Plan:
    """The plan with what was added to it, or its first so many entries."""
    return sum(map(parse_plan, record.steps[:num_parts]), Plan())


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the pixels depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # A source tree that is not installed.
            continue
    return found


def mask_secrets(value: Any) -> Any:
    """Replace the values of settings whose name says secret, at any depth."""
    if isinstance(value, dict):
        return {key: "***" if _SECRET.search(str(key)) and item else mask_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_secrets(item) for item in value]
    return value


def mask_arguments(arguments: Sequence[str]) -> list[str]:
    """Mask ``--x.api_key VALUE`` and ``--x.api_key=VALUE`` in a command line."""
    masked: list[str] = []
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        after_secret = bool(masked) and masked[-1].startswith("--") and _SECRET.search(masked[-1]) is not None
        masked.append("***" if after_secret else f"{name}=***" if equals and _SECRET.search(name) else argument)
    return masked
