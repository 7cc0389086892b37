"""What the report of a bench shows: the first picture of some prompts, with what fails in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.compbench.drawing import pictures_of_prompt
from eval.compbench.items import Scored
from eval.files import read_picture
from eval.sources import picks
from lit_outpaint.heldout.walks import Pixels


def shown_pictures(rows: Sequence[Scored], images: Path, true_dir: Path | None, count: int) -> list[tuple[str, Pixels]]:
    """Evenly chosen prompts: the true picture beside the one that is scored, and a line of what it is to show.

    Args:
        rows: the scores.
        images: directory of the pictures.
        true_dir: directory of the true ones.
        count: how many prompts at most.
    """
    return [_shown(rows[index], images, true_dir) for index in picks(count, len(rows))] if count else []


def _shown(row: Scored, images: Path, true_dir: Path | None) -> tuple[str, Pixels]:
    directories = [images] if true_dir is None else [true_dir, images]
    pictures = [np.array(read_picture(pictures_of_prompt(directory, row.item.key)[0])) for directory in directories]
    if len({picture.shape for picture in pictures}) > 1:
        pictures = pictures[-1:]
    wrong = [skill for skill, score in zip(row.item.skills, row.scores[0], strict=True) if not score]
    what = "all holds" if not wrong else f"not seen: {', '.join(wrong)}"
    beside = "true | scored: " if len(pictures) > 1 else ""
    return f"{beside}{row.item.text} ({what})", np.concatenate(pictures, axis=1)
