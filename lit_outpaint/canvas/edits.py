"""Edits: one step drawn again with another caption or seed, everything that builds on it too, and the way back.

A step's *revision* is the number of the latest edit in force that reaches it. Whatever stands in the journal with
another revision is out of date: it is set aside with its pixels in ``kept/`` and drawn again, or taken back from there
when an undo asks for a revision that was drawn before. So a run that was killed in the middle of an edit or an undo
goes on like any other.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.store import Canvas

KEPT_NAME = "kept"


class Edit(BaseModel):
    """One step that is to be drawn in another way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    """Edits of a run are numbered from 1, those that were undone included."""
    step: int = Field(ge=0)
    """The step, by its number in the journal."""
    caption: str
    """Its local caption."""
    caption_source: str
    """Who wrote the caption."""
    seed: int
    """Stands for the run's seed in this step."""
    undone: bool = False
    """Whether it is no longer in force."""


class Revisions:
    """Which edit, if any, decides each step of a plan.

    Args:
        graph: the plan.
        edits: all edits of the run, oldest first.

    Raises:
        ValueError: an edit names a step that the plan does not have.
    """

    def __init__(self, graph: Graph, edits: Sequence[Edit] = ()) -> None:
        self._latest: dict[int, int] = {}
        self._edits: dict[int, Edit] = {}
        for edit in edits:
            if edit.undone:
                continue
            if edit.step >= len(graph):
                raise ValueError(
                    f"the step to edit must be one of 0 to {len(graph) - 1}, as in steps.jsonl, got {edit.step}"
                )
            self._latest |= dict.fromkeys(graph.descendants(edit.step), edit.number)
            self._edits[edit.step] = edit

    def of(self, step: int) -> int:
        """The revision of a step; 0 where no edit reaches it."""
        return self._latest.get(step, 0)

    def edit_of(self, step: int) -> Edit | None:
        """The edit in force that names this very step."""
        return self._edits.get(step)


def set_aside(canvas: Canvas, revisions: Revisions) -> int:
    """Take every step out of the canvas that is out of date, keep it for undo, and return how many there were."""
    outdated = {record.step for record in canvas.journal if record.revision != revisions.of(record.step)}
    for record in canvas.journal:
        if record.step in outdated:
            _keep(canvas, record)
    if outdated:
        canvas.forget(outdated)
    return len(outdated)


def take_back(canvas: Canvas, step: int, revision: int) -> tuple[StepRecord, UInt8[ndarray, "h w 3"]] | None:
    """A step as it was drawn in that revision, None when it was not drawn or is not kept."""
    path = canvas.directory / KEPT_NAME / _name(step, revision)
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        return StepRecord.model_validate_json(kept["record"].tobytes()), kept["pixels"]


def _keep(canvas: Canvas, record: StepRecord) -> None:
    directory = canvas.directory / KEPT_NAME
    directory.mkdir(exist_ok=True)
    line = np.frombuffer(record.model_dump_json().encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=canvas.read(record.strip_box), record=line)
    path = directory / _name(record.step, record.revision)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)


def _name(step: int, revision: int) -> str:
    return f"{step:06d}-{revision}.npz"
