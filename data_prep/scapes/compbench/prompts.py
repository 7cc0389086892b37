"""Prompts of all categories with the scenes that show them, from a seed."""

import random
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from data_prep.scapes.compbench.dense import dense
from data_prep.scapes.compbench.made import Made
from data_prep.scapes.compbench.objects import colour, counting, presence
from data_prep.scapes.compbench.relations import spatial
from data_prep.scapes.compbench.scenes import complex_prompt, scene
from data_prep.scapes.compbench.steps import StepScene, as_step
from data_prep.scapes.staging import Scene
from lit_outpaint.data.prompts import Category, Prompt

MAKERS: Final[dict[Category, Callable[[random.Random, int], list[Made]]]] = {
    "presence": presence,
    "colour": colour,
    "spatial": spatial,
    "counting": counting,
    "scene": scene,
    "complex": complex_prompt,
    "dense": dense,
}
"""Each makes one prompt, or the two of a pair, from draws and a running number."""

_ATTEMPTS: Final = 200


class Staged(NamedTuple):
    """A prompt and the scene that shows it."""

    prompt: Prompt
    scene: Scene
    step: StepScene | None = None
    """Set where the prompt is for a step of outpainting."""


def make_prompts(
    seed: int, count: int, categories: Iterable[Category] = tuple(MAKERS), *, per_step: bool = False
) -> list[Staged]:
    """Prompts of each category, all different in their words.

    Args:
        seed: of everything; a larger ``count`` begins with the prompts of a smaller one.
        count: prompts of each category.
        categories: which, in this order.
        per_step: ask the new strip of a step of outpainting for the things, not a whole picture.

    Raises:
        ValueError: a category has no more different prompts.
    """
    return [staged for category in categories for staged in _category(category, seed, count, per_step)]


def _category(category: Category, seed: int, count: int, per_step: bool) -> list[Staged]:
    rows: list[Staged] = []
    texts: set[str] = set()
    number = 0
    while len(rows) < count:
        made = _new_batch(category, seed, number, texts, per_step)
        paired = len(made) > 1
        for each, step in made:
            prompt = Prompt(
                id=f"{category}-{len(rows):04d}",
                category=category,
                prompt=each.text,
                atoms=each.atoms,
                pair=f"{category}-pair-{number:04d}" if paired else None,
                step=step.step() if step else None,
            )
            rows.append(Staged(prompt, each.scene, step))
        number += 1
    return rows[:count]


def _new_batch(
    category: Category, seed: int, number: int, texts: set[str], per_step: bool
) -> list[tuple[Made, StepScene | None]]:
    """A prompt or a pair with words of their own; none where what the number asks for does not fit into a strip."""
    fitting = False
    for attempt in range(_ATTEMPTS):
        rng = random.Random(f"{seed}/{category}/{number}/{attempt}")
        made: list[tuple[Made, StepScene | None]] = [(each, None) for each in MAKERS[category](rng, number)]
        if per_step:
            # The same draws for both prompts of a pair.
            strips = [as_step(random.Random(f"{seed}/{category}/{number}/{attempt}/step"), each) for each, _ in made]
            if not all(strips):
                continue
            made = [strip for strip in strips if strip]
        fitting = True
        words = {each.text for each, _ in made}
        if len(words) == len(made) and not words & texts:
            texts |= words
            return made
    if not fitting:
        return []
    raise ValueError(
        f"--prompts is more than there are different prompts of the category {category}: {len(texts)} were found; "
        "ask for fewer"
    )
