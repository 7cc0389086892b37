"""Editing a finished run: which step is to be drawn again and how, and undoing the latest edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lit_outpaint.canvas.edits import Edit
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.captions.scene import clean
from lit_outpaint.run_record import RunRecord


def with_edit(
    record: RunRecord, directory: Path, step: int, caption: str | None, seed: int | None, run_seed: int
) -> RunRecord:
    """The record of a run in which a step is to be drawn again.

    The same edit given again, while it is not finished, means: go on with it.

    Args:
        record: of the run.
        directory: of the run.
        step: number of the step, as in steps.jsonl.
        caption: its new local caption; the present one when absent.
        seed: its new seed; the run's when absent.
        run_seed: the seed of the run.

    Raises:
        ValueError: neither caption nor seed is given, or the step is not drawn yet.
    """
    if caption is None and seed is None:
        raise ValueError("--edit_step needs --edit_caption or --edit_seed, or both: what is to be other than before")
    last = record.edits[-1] if record.edits else None
    if last is not None and not (record.finished or last.undone):
        asked = (step, last.caption if caption is None else clean(caption), run_seed if seed is None else seed)
        if asked == (last.step, last.caption, last.seed):
            return record
        raise ValueError(f"the edit of step {last.step} is not finished; go on with --resume {directory} first")
    canvas = Canvas.open(directory)
    if step < 0 or not canvas.is_done(step):
        raise ValueError(f"the step to edit must be one that {directory / 'steps.jsonl'} holds, got {step}")
    old = canvas.record(step)
    edit = Edit(
        number=len(record.edits) + 1,
        step=step,
        caption=old.local_caption if caption is None else clean(caption),
        caption_source=old.caption_source if caption is None else "edit",
        seed=run_seed if seed is None else seed,
    )
    return record.model_copy(update={"edits": [*record.edits, edit], "finished": False})


def without_last_edit(record: RunRecord) -> RunRecord:
    """The record of a run whose latest edit in force is taken back.

    Raises:
        ValueError: no edit is in force.
    """
    if record.edits and record.edits[-1].undone and not record.finished:
        return record  # Given again while it is not finished: go on with it.
    in_force = [place for place, edit in enumerate(record.edits) if not edit.undone]
    if not in_force:
        raise ValueError("--undo takes back an edit, and this run has none")
    edits: Sequence[Edit] = record.edits
    undone = edits[in_force[-1]].model_copy(update={"undone": True})
    return record.model_copy(
        update={"edits": [*edits[: in_force[-1]], undone, *edits[in_force[-1] + 1 :]], "finished": False}
    )
