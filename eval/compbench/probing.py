"""Answers of the probe to the atoms of scapes prompts."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from eval.clip import find_clip
from eval.compbench.atoms import answers
from eval.compbench.config import CompbenchConfig
from eval.compbench.drawing import load_pictures
from eval.compbench.items import Item, Scored
from eval.functional.clip_sim import clip_sim
from eval.judge import load_judge
from lit_outpaint.data.prompts import Atom, Prompt

PROBE_NAME: Final = "scapes probe"

_CHUNK: Final = 256
"""Pictures held at once."""


def prompt_item(prompt: Prompt) -> Item:
    """A prompt of the scapes world as it is scored."""
    return Item(
        key=prompt.id,
        category=prompt.category,
        text=prompt.prompt,
        skills=tuple(atom.type for atom in prompt.atoms),
        pair=prompt.pair,
        inputs=hashlib.sha256(prompt.model_dump_json().encode()).hexdigest(),
    )


def probe_scores(
    config: CompbenchConfig, items: Sequence[Item], atoms: Sequence[Sequence[Atom]], pictures: Path, flag: str
) -> list[Scored]:
    """Read every picture and answer the atoms of its prompt.

    Args:
        config: judge, rules and evaluation CLIP.
        items: the prompts.
        atoms: of each.
        pictures: directory of ``ID.png``.
        flag: names it in messages.

    Raises:
        ValueError: a picture is missing, or they differ in size.
        FileNotFoundError: there is no probe.
    """
    judge = load_judge(config.models, config.judge)
    clip = None if config.clip is None else find_clip(config.clip)
    rows: list[Scored] = []
    for start in range(0, len(items), _CHUNK):
        part = slice(start, start + _CHUNK)
        pixels = load_pictures(pictures, [item.key for item in items[part]], flag)
        cosines: list[float | None] = [None] * len(pixels)
        if clip is not None:
            texts = clip.encode_texts([item.text for item in items[part]])
            cosines = list(clip_sim(clip.encode_images(pixels), texts).tolist())
        readings = judge.read(judge.look(pixels).maps)
        rows += [
            Scored(item, tuple(map(float, answers(asked, reading, config.rules))), cosine)
            for item, asked, reading, cosine in zip(items[part], atoms[part], readings, cosines, strict=True)
        ]
    return rows
