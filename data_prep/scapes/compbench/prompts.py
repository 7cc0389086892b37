"""Prompts of all categories with the scenes that show them, from a seed."""

import random
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from data_prep.scapes.compbench.dense import dense
from data_prep.scapes.compbench.made import Made
from data_prep.scapes.compbench.objects import colour, counting, presence
from data_prep.scapes.compbench.relations import spatial
from data_prep.scapes.compbench.scenes import complex_prompt, scene
from data_prep.scapes.compbench.staging import Scene
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


def make_prompts(seed: int, count: int, categories: Iterable[Category] = tuple(MAKERS)) -> list[Staged]:
    """Prompts of each category, all different in their words.

    Args:
        seed: of everything; a larger ``count`` begins with the prompts of a smaller one.
        count: prompts of each category.
        categories: which, in this order.

    Raises:
        ValueError: a category has no more different prompts.
    """
    return [staged for category in categories for staged in _category(category, seed, count)]


def _category(category: Category, seed: int, count: int) -> list[Staged]:
    rows: list[Staged] = []
    texts: set[str] = set()
    number = 0
    while len(rows) < count:
        made = _new_batch(category, seed, number, texts)
        paired = len(made) > 1
        for each in made:
            prompt = Prompt(
                id=f"{category}-{len(rows):04d}",
                category=category,
                prompt=each.text,
                atoms=each.atoms,
                pair=f"{category}-pair-{number:04d}" if paired else None,
            )
            rows.append(Staged(prompt, each.scene))
        number += 1
    return rows[:count]


def _new_batch(category: Category, seed: int, number: int, texts: set[str]) -> list[Made]:
    for attempt in range(_ATTEMPTS):
        made = MAKERS[category](random.Random(f"{seed}/{category}/{number}/{attempt}"), number)
        words = {each.text for each in made}
        if len(words) == len(made) and not words & texts:
            texts |= words
            return made
    raise ValueError(
        f"--prompts is more than there are different prompts of the category {category}: {len(texts)} were found; "
        "ask for fewer"
    )
