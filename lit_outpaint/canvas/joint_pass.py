"""Steps that were denoised together reach the canvas all, or none of them counts.

What is known when they are denoised decides their pixels. So before the first of them is committed their numbers are
written down, and a run that finds such a list with steps missing takes the others back and denoises all of them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from lit_outpaint.canvas.store import Canvas
from lit_outpaint.system.files import written_whole

PASS_NAME = "joint.json"


def begin_pass(canvas: Canvas, steps: Sequence[int]) -> None:
    """Say which steps are about to be committed together."""
    with written_whole(canvas.directory / PASS_NAME) as draft:
        draft.write_text(json.dumps(list(steps)), encoding="utf-8")


def end_pass(canvas: Canvas) -> None:
    """Say that all of them are done."""
    (canvas.directory / PASS_NAME).unlink(missing_ok=True)


def undo_torn_pass(canvas: Canvas) -> None:
    """Take the steps of a pass back that was cut short.

    Raises:
        ValueError: the list is damaged.
    """
    torn = torn_pass(canvas.directory, canvas.is_done)
    if torn:
        canvas.forget(torn)
    end_pass(canvas)


def torn_pass(directory: Path, is_done: Callable[[int], bool]) -> set[int]:
    """The steps that a pass has committed which was cut short; none when all of it is there.

    Raises:
        ValueError: the list is damaged.
    """
    path = directory / PASS_NAME
    if not path.is_file():
        return set()
    try:
        steps = [int(step) for step in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must be a list of steps, but is damaged; start a new run") from error
    done = set(filter(is_done, steps))
    return done if len(done) < len(steps) else set()
