"""``python -m data_prep compbench``: write a prompt file and the true pictures of its prompts."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from data_prep.config import at_least
from data_prep.progress import progress
from data_prep.scapes.compbench.prompts import make_prompts
from lit_outpaint.data.prompts import CATEGORIES, Category, known_pictures_dir, true_pictures_dir, write_prompts
from lit_outpaint.system.files import make_out, written_whole


@dataclass(frozen=True, kw_only=True)
class CompbenchConfig:
    """Which prompts are made."""

    out: Path
    """Prompt file to write, one JSON object a line."""
    prompts: int = 300
    """Prompts of each category; fewer are the first of more."""
    categories: tuple[Category, ...] = CATEGORIES
    """Which categories."""
    seed: int = 0
    """Decides which prompts; the same seed gives the same bytes."""
    per_step: bool = False
    """Ask the new strip of one step of outpainting for the things, not a whole picture; the windows before the steps
    lie beside the prompt file, with _known behind its name."""
    pictures: Path | None = None
    """Directory of the true pictures, ID.png each; when absent beside the prompt file, with _true behind its name."""

    def __post_init__(self) -> None:
        at_least(self, 1, "prompts")
        at_least(self, 0, "seed")
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise ValueError(
                f"categories must be different ones of {', '.join(get_args(Category))}, got {list(self.categories)}"
            )


def write_compbench(config: CompbenchConfig) -> int:
    """Write the pictures, then the prompt file, so that who finds the file finds the pictures too.

    Returns:
        How many prompts there are.

    Raises:
        ValueError: a category has fewer different prompts than asked for, or a directory cannot be written.
    """
    staged = make_prompts(config.seed, config.prompts, config.categories, per_step=config.per_step)
    pictures, known = config.pictures or true_pictures_dir(config.out), known_pictures_dir(config.out)
    for directory in (pictures, config.out.parent, *((known,) if config.per_step else ())):
        make_out(directory)
    for prompt, scene, step in progress(staged, len(staged), "true pictures"):
        _save((step or scene).render(), pictures / f"{prompt.id}.png")
        if step:
            _save(step.render_known(), known / f"{prompt.id}.png")
    with written_whole(config.out) as draft:
        write_prompts(draft, (row.prompt for row in staged))
    return len(staged)


def _save(pixels: np.ndarray, path: Path) -> None:
    with written_whole(path) as draft:
        Image.fromarray(pixels).save(draft, format="PNG")
