"""Changing a run that is drawn: which step is to be drawn again and how, and undoing the latest edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lit_outpaint.canvas.edits import KEPT_NAME, Edit, kept_version
from lit_outpaint.canvas.joint_pass import torn_pass
from lit_outpaint.canvas.journal import Journal, StepRecord
from lit_outpaint.canvas.store import JOURNAL_NAME
from lit_outpaint.runs.layouts import kept_layout
from lit_outpaint.runs.record import OutpaintRecord, Relayout
from lit_outpaint.system.text import clean


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
            version, or another change is not finished.
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
    if record.pending == "edit" and _is_same(record.edits[-1], step, caption, seed, candidate):
        return record
    check_settled(record, directory)
    journal = Journal(directory / JOURNAL_NAME)  # Opening the canvas itself would mend it, and look at every pixel.
    old, done = None, set()
    for line in journal:
        done.add(line.step)
        old = line if line.step == step else old
    if old is None:
        raise ValueError(f"the step to edit must be one that {journal.path} holds, got {step}")
    if step in torn_pass(directory, done.__contains__):
        raise ValueError(
            f"step {step} counts once all windows that were denoised with it are there; continue with --resume "
            f"{directory} first"
        )
    if candidate is not None:
        return _with(record, _taking(record, directory, old, candidate))
    edit = Edit(
        number=len(record.edits) + 1,
        step=step,
        caption=old.local_caption if caption is None else clean(caption),
        caption_source=old.caption_source if caption is None else "edit",
        seed=record.seed_of(step) if seed is None else seed,
    )
    if (edit.caption, edit.seed) == (old.local_caption, record.seed_of(step)):
        raise ValueError(f"step {step} has that caption and seed {edit.seed} already; give another of them")
    return _with(record, edit)


def check_settled(record: OutpaintRecord, directory: Path) -> None:
    """Refuse a change of a run whose steps in the journal are about to be others.

    Raises:
        ValueError: an edit, an undo or another layout is not finished.
    """
    if record.pending not in ("edit", "undo", "layout"):
        return
    what = f"the edit of step {record.edits[-1].step}" if record.pending == "edit" else f"the {record.pending}"
    raise ValueError(f"{what} is not finished; continue with --resume {directory} first")


def _is_same(last: Edit, step: int, caption: str | None, seed: int | None, candidate: int | None) -> bool:
    """Whether an edit is asked for again."""
    if step != last.step or candidate != last.candidate:
        return False
    return (caption is None or clean(caption) == last.caption) and (seed is None or seed == last.seed)


def _taking(record: OutpaintRecord, directory: Path, old: StepRecord, candidate: int) -> Edit:
    """The edit that puts another version in the place of a step."""
    in_force = (edit for edit in record.edits if edit.step == old.step and not edit.undone)
    shown = next((edit for edit in in_force if edit.number == old.revision), None)
    drawn_as = old.revision if shown is None or shown.candidate is None else shown.drawn_as

    def is_kept(number: int) -> bool:
        return number != old.candidate and kept_version(directory, old.step, drawn_as, number) is not None

    if not is_kept(candidate):
        most = max(len(old.candidate_scores), old.candidate + 1)
        others = ", ".join(map(str, filter(is_kept, range(most))))
        raise ValueError(
            f"step {old.step} shows its version {old.candidate}; --candidate must be another that lies in "
            f"{directory / KEPT_NAME}: {others or 'there is none, draw with --candidates'}, got {candidate}"
        )
    return Edit(
        number=len(record.edits) + 1,
        step=old.step,
        caption=old.local_caption,
        caption_source=old.caption_source,
        seed=record.seed_of(old.step),
        candidate=candidate,
        drawn_as=drawn_as,
    )


def _with(record: OutpaintRecord, edit: Edit) -> OutpaintRecord:
    return record.model_copy(update={"edits": [*record.edits, edit]}).unfinished("edit")


def without_last_edit(record: OutpaintRecord, directory: Path) -> OutpaintRecord:
    """The record of a run whose latest edit in force is taken back; a new layout is one, with all that it changed.

    Args:
        record: of the run.
        directory: of the run.

    Raises:
        ValueError: no edit is in force, or steps were added under the layout that would be taken back.
    """
    if record.pending == "undo":
        return record  # Given again while it is not finished: continue it.
    latest = _latest(
        [edit for edit in record.edits if not edit.undone], [each for each in record.relayouts if not each.undone]
    )
    if latest is None:
        raise ValueError("--undo takes back an edit, and this run has none")
    if isinstance(latest, Edit):
        undone = {latest.number}
    else:
        _check_nothing_added(record, latest, directory)
        undone = {edit.number for edit in record.edits if edit.group == latest.number}
    taken_back = {"undone": True}
    edits = [edit.model_copy(update=taken_back) if edit.number in undone else edit for edit in record.edits]
    relayouts = [each.model_copy(update=taken_back) if each is latest else each for each in record.relayouts]
    return record.model_copy(update={"edits": edits, "relayouts": relayouts}).unfinished("undo")


def _check_nothing_added(record: OutpaintRecord, latest: Relayout, directory: Path) -> None:
    """Refuse to take a layout back which gave captions to steps that no edit names: they would keep these."""
    if latest.num_parts == len(record.steps):
        return
    before = max((each.number for each in record.relayouts if not each.undone and each is not latest), default=0)
    former = kept_layout(directory, before)
    raise ValueError(
        "steps were added under the layout that --undo would take back; give the one that they are to have by --layout "
        f"(the one before is {former})"
    )


def _latest(edits: Sequence[Edit], relayouts: Sequence[Relayout]) -> Edit | Relayout | None:
    """What came last, where edits that a new layout asks for are part of it."""
    if relayouts and (not edits or edits[-1].number <= relayouts[-1].num_edits):
        return relayouts[-1]
    return edits[-1] if edits else None
