"""Editing a finished run: which step is to be drawn again and how, and undoing the latest edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lit_outpaint.canvas.edits import Edit
from lit_outpaint.canvas.journal import Journal, StepRecord
from lit_outpaint.canvas.store import JOURNAL_NAME
from lit_outpaint.system.text import clean
from lit_outpaint.runs.record import OutpaintRecord, Relayout


def with_edit(
    record: OutpaintRecord,
    directory: Path,
    step: int,
    caption: str | None,
    seed: int | None,
    candidate: int | None,
) -> OutpaintRecord:
    """The record of a run in which a step is to be drawn again.

    The same edit given again, while it is not finished, means: continue it.

    Args:
        record: of the run.
        directory: of the run.
        step: number of the step, as in steps.jsonl.
        caption: its new local caption; the present one when absent.
        seed: its new seed; the present one when absent.
        candidate: another of its versions to take, instead of both.

    Raises:
        ValueError: nothing is to be other than before, the seed is negative, the step is not drawn yet, or has no such
            version.
    """
    if caption is None and seed is None and candidate is None:
        raise ValueError(
            "--edit_step needs --edit_caption or --edit_seed, or both, or --candidate: what is to be other than before"
        )
    if candidate is not None and (caption is not None or seed is not None):
        raise ValueError(
            "--candidate takes a version with its own caption and seed; leave --edit_caption and --edit_seed out"
        )
    if seed is not None and seed < 0:
        raise ValueError(f"--edit_seed must not be negative, got {seed}")
    last = record.edits[-1] if record.edits else None
    if last is not None and not (record.finished or last.undone):
        asked = (step, last.caption if caption is None else clean(caption), last.seed if seed is None else seed)
        if candidate == last.candidate and (
            (step == last.step) if candidate is not None else asked == (last.step, last.caption, last.seed)
        ):
            return record
        raise ValueError(f"the edit of step {last.step} is not finished; continue with --resume {directory} first")
    journal = Journal(directory / JOURNAL_NAME)  # Opening the canvas itself would mend it, and look at every pixel.
    old = next((done for done in journal if done.step == step), None)
    if old is None:
        raise ValueError(f"the step to edit must be one that {journal.path} holds, got {step}")
    if candidate is not None:
        return _with(record, _taking(record, old, candidate))
    edit = Edit(
        number=len(record.edits) + 1,
        step=step,
        caption=old.local_caption if caption is None else clean(caption),
        caption_source=old.caption_source if caption is None else "edit",
        seed=record.seed_of(step) if seed is None else seed,
    )
    return _with(record, edit)


def _taking(record: OutpaintRecord, old: StepRecord, candidate: int) -> Edit:
    """The edit that puts another version in the place of a step."""
    num_versions = max(len(old.candidate_scores), 1)
    if candidate == old.candidate or not 0 <= candidate < num_versions:
        others = ", ".join(str(number) for number in range(num_versions) if number != old.candidate)
        raise ValueError(
            f"step {old.step} shows its version {old.candidate}; --candidate must be one of the others: "
            f"{others or 'it has none, draw with --candidates'}, got {candidate}"
        )
    in_force = (edit for edit in record.edits if edit.step == old.step and not edit.undone)
    shown = next((edit for edit in in_force if edit.number == old.revision), None)
    return Edit(
        number=len(record.edits) + 1,
        step=old.step,
        caption=old.local_caption,
        caption_source=old.caption_source,
        seed=record.seed_of(old.step),
        candidate=candidate,
        drawn_as=old.revision if shown is None or shown.candidate is None else shown.drawn_as,
    )


def _with(record: OutpaintRecord, edit: Edit) -> OutpaintRecord:
    return record.model_copy(update={"edits": [*record.edits, edit], "finished": False})


def without_last_edit(record: OutpaintRecord) -> OutpaintRecord:
    """The record of a run whose latest edit in force is taken back; a new layout is one, with all that it changed.

    Raises:
        ValueError: no edit is in force.
    """
    latest = _latest(record.edits, record.relayouts)
    if latest is not None and latest.undone and not record.finished:
        return record  # Given again while it is not finished: continue it.
    latest = _latest(
        [edit for edit in record.edits if not edit.undone], [each for each in record.relayouts if not each.undone]
    )
    if latest is None:
        raise ValueError("--undo takes back an edit, and this run has none")
    if isinstance(latest, Edit):
        undone = {latest.number}
    else:
        undone = {edit.number for edit in record.edits if edit.group == latest.number}
    taken_back = {"undone": True}
    edits = [edit.model_copy(update=taken_back) if edit.number in undone else edit for edit in record.edits]
    relayouts = [each.model_copy(update=taken_back) if each is latest else each for each in record.relayouts]
    return record.model_copy(update={"edits": edits, "relayouts": relayouts, "finished": False})


def _latest(edits: Sequence[Edit], relayouts: Sequence[Relayout]) -> Edit | Relayout | None:
    """What came last, where edits that a new layout asks for are part of it."""
    if relayouts and (not edits or edits[-1].number <= relayouts[-1].num_edits):
        return relayouts[-1]
    return edits[-1] if edits else None
