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
from eval.judge import load_judge, strip_of
from eval.readings import LabelMaps
from lit_outpaint.canvas.geometry import HEADINGS, Box
from lit_outpaint.data.prompts import Prompt
from lit_outpaint.heldout.walks import Pixels

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
        inputs=hashlib.sha256(prompt.line().encode()).hexdigest(),
    )


def probe_scores(config: CompbenchConfig, prompts: Sequence[Prompt], pictures: Path, flag: str) -> list[Scored]:
    """Read every picture and answer the atoms of its prompt; of a step its new strip alone.

    Args:
        config: judge, rules and evaluation CLIP, which reads whole pictures.
        prompts: what is asked for.
        pictures: directory of ``ID.png``.
        flag: names it in messages.

    Raises:
        ValueError: a picture is missing, they differ in size, or one is smaller than the strip of its step.
        FileNotFoundError: there is no probe.
    """
    judge = load_judge(config.models, config.judge)
    clip = None if config.clip is None else find_clip(config.clip)
    rows: list[Scored] = []
    for start in range(0, len(prompts), _CHUNK):
        part = prompts[start : start + _CHUNK]
        pixels = load_pictures(pictures, [prompt.id for prompt in part], flag)
        cosines: list[float | None] = [None] * len(pixels)
        if clip is not None:
            texts = clip.encode_texts([prompt.prompt for prompt in part])
            cosines = list(clip_sim(clip.encode_images(pixels), texts).tolist())
        readings = judge.read(_asked_of(part, judge.look(pixels).maps, pixels, flag))
        rows += [
            Scored(prompt_item(prompt), tuple(map(float, answers(prompt.atoms, reading, config.rules))), cosine)
            for prompt, reading, cosine in zip(part, readings, cosines, strict=True)
        ]
    return rows


def _asked_of(prompts: Sequence[Prompt], maps: Sequence[LabelMaps], pixels: Pixels, flag: str) -> list[LabelMaps]:
    """What the statements of each prompt are about: the picture, or the strip that a step added."""
    asked = []
    for prompt, whole in zip(prompts, maps, strict=True):
        if prompt.step is None:
            asked.append(whole)
            continue
        side = HEADINGS[prompt.step.direction].length(Box(0, 0, pixels.shape[2], pixels.shape[1]))
        if prompt.step.stride_px > side:
            raise ValueError(
                f"{flag} must hold windows after a step of {prompt.step.stride_px} px, but {prompt.id}.png has {side}"
            )
        asked.append(strip_of(whole, prompt.step.direction, prompt.step.stride_px / side))
    return asked
