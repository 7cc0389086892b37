"""Answers of the probe to the atoms of scapes prompts."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from eval.clip import find_clip
from eval.compbench.atoms import answers
from eval.compbench.config import CompbenchConfig
from eval.compbench.drawing import find_pictures, load_pictures
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
        pictures: directory of ``ID.png``, or of several of each prompt.
        flag: names it in messages.

    Raises:
        ValueError: a picture is missing, they differ in size or number, or one is smaller than the strip of its step.
        FileNotFoundError: there is no probe.
    """
    judge = load_judge(config.models, config.judge)
    clip = None if config.clip is None else find_clip(config.clip)
    rows: list[Scored] = []
    paths = find_pictures(pictures, [prompt.id for prompt in prompts], flag)
    num = len(paths[0])
    chunk = max(1, _CHUNK // num)
    for start in range(0, len(prompts), chunk):
        part = prompts[start : start + chunk]
        # Pictures of one prompt follow each other.
        pixels = load_pictures((path for mine in paths[start : start + chunk] for path in mine), flag)
        asked = [prompt for prompt in part for _ in range(num)]
        cosines: list[float | None] = [None] * len(part)
        if clip is not None:
            texts = clip.encode_texts([prompt.prompt for prompt in asked])
            cosines = list(clip_sim(clip.encode_images(pixels), texts).reshape(-1, num).mean(dim=1).tolist())
        readings = judge.read(_asked_of(asked, judge.look(pixels).maps, pixels, flag))
        said = [
            tuple(map(float, answers(prompt.atoms, reading, config.rules)))
            for prompt, reading in zip(asked, readings, strict=True)
        ]
        rows += [
            Scored(prompt_item(prompt), tuple(said[num * i : num * (i + 1)]), cosine)
            for i, (prompt, cosine) in enumerate(zip(part, cosines, strict=True))
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
