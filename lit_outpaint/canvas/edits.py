"""Edits: one step drawn in another way or replaced by another version, everything that builds on it too; the way back.

A step's *revision* is the number of the latest edit in force that reaches it. Whatever stands in the journal with
another revision is out of date: it is set aside with its pixels in ``kept/`` and drawn again, or taken back from there
when an undo asks for a revision that was drawn before. So a run that was killed in the middle of an edit or an undo
continues like any other. Versions of a window that were not chosen lie in ``kept/`` from the start.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.system.files import written_whole
from lit_outpaint.system.one_line import refused_in_one_line

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
    candidate: int | None = Field(default=None, ge=0)
    """The number of the version that is taken; None draws new ones."""
    drawn_as: int = Field(default=0, ge=0)
    """The revision of the step to which that version belongs."""
    group: int = Field(default=0, ge=0)
    """Number of the new layout that asks for it and is undone with it; 0 for an edit of its own."""
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


def check_same_plan(canvas: Canvas, graph: Graph) -> None:
    """Refuse a canvas whose steps lie elsewhere than the plan's.

    Raises:
        ValueError: another plan, window size or overlap drew the canvas.
    """
    for record in canvas.journal:
        planned = graph[record.step] if record.step < len(graph) else None
        if planned is None or (planned.window.as_tuple(), planned.new.as_tuple()) != (record.window, record.strip):
            raise ValueError(
                f"{canvas.directory} was drawn by another plan, window size or overlap: its step {record.step} lies at "
                f"{list(record.strip)}; give the settings of that run"
            )


def set_aside(canvas: Canvas, revisions: Revisions) -> int:
    """Take every step out of the canvas that is out of date, keep it for undo, and return how many there were."""
    outdated = {record.step for record in canvas.journal if record.revision != revisions.of(record.step)}
    for record in canvas.journal:
        if record.step in outdated:
            _keep(canvas, record)
    if outdated:
        canvas.forget(outdated)
    return len(outdated)


def take_back(canvas: Canvas, step: int, revisions: Revisions) -> tuple[StepRecord, UInt8[ndarray, "h w 3"]] | None:
    """A step as it was drawn in its revision, or the version of it that an edit takes; None when it is to be drawn.

    Raises:
        ValueError: the version that an edit takes is not kept any more.
    """
    revision, edit = revisions.of(step), revisions.edit_of(step)
    kept = _load(canvas.directory, _name(step, revision))
    if kept is not None or edit is None or edit.candidate is None or edit.number != revision:
        return kept
    version = kept_version(canvas.directory, step, edit.drawn_as, edit.candidate)
    if version is None:
        raise ValueError(
            f"version {edit.candidate} of step {step} must lie in {canvas.directory / KEPT_NAME}, and does not; take "
            "the edit back with --undo, or draw others with --edit_seed"
        )
    return version[0].model_copy(update={"revision": revision}), version[1]


def kept_version(
    directory: Path, step: int, revision: int, candidate: int
) -> tuple[StepRecord, UInt8[ndarray, "h w 3"]] | None:
    """One of the versions that were drawn of a step in a revision; None where it is not kept.

    Raises:
        ValueError: its file is damaged.
    """
    # The version that was chosen first was set aside like any step; the others have names of their own.
    for name in (_name(step, revision, candidate), _name(step, revision)):
        kept = _load(directory, name)
        if kept is not None and kept[0].candidate == candidate:
            return kept
    return None


def keep_candidate(canvas: Canvas, record: StepRecord, pixels: UInt8[ndarray, "h w 3"]) -> None:
    """Keep a version of a step that was not chosen."""
    _save(canvas, _name(record.step, record.revision, record.candidate), record, pixels)


def _keep(canvas: Canvas, record: StepRecord) -> None:
    _save(canvas, _name(record.step, record.revision), record, canvas.read(record.strip_box))


def _save(canvas: Canvas, name: str, record: StepRecord, pixels: UInt8[ndarray, "h w 3"]) -> None:
    directory = canvas.directory / KEPT_NAME
    directory.mkdir(exist_ok=True)
    line = np.frombuffer(record.model_dump_json().encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=pixels, record=line)
    with written_whole(directory / name) as draft:
        draft.write_bytes(buffer.getvalue())


def _load(directory: Path, name: str) -> tuple[StepRecord, UInt8[ndarray, "h w 3"]] | None:
    path = directory / KEPT_NAME / name
    if not path.is_file():
        return None
    damaged = refused_in_one_line(str(path), "delete it, and the step is drawn again")
    with damaged, np.load(path, allow_pickle=False) as kept:
        return StepRecord.model_validate_json(kept["record"].tobytes()), kept["pixels"]


def _name(step: int, revision: int, candidate: int | None = None) -> str:
    return f"{step:06d}-{revision}{'' if candidate is None else f'-c{candidate}'}.npz"
