"""Scores of other benches' prompts: CLIP-SIM and the answers of a VQA-type judge to each picture of a prompt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from eval.clip import EvaluationClip, find_clip
from eval.compbench.config import CompbenchConfig
from eval.compbench.foreign import ForeignFormat, pictures_of
from eval.compbench.items import Item, Scored
from eval.compbench.vqa import vqa_scores
from eval.files import read_picture
from eval.functional.clip_sim import clip_sim


def foreign_scores(config: CompbenchConfig, format: ForeignFormat, items: Sequence[Item], images: Path) -> list[Scored]:
    """Score every prompt with what is configured.

    Args:
        config: evaluation CLIP and VQA judge.
        format: whose pictures they are.
        items: the prompts.
        images: directory of the pictures.

    Raises:
        ValueError: a prompt has no picture, or the judge does not answer as it must.
    """
    clip = None if config.clip is None else find_clip(config.clip)
    rows = []
    paths = pictures_of(images, items, format)
    for item in items:
        pictures = [read_picture(path) for path in paths[item.key]]
        scores = vqa_scores(config.vqa, pictures, item.questions) if config.vqa and item.questions else ()
        cosine = None if clip is None else _cosine(clip, item.text, [np.array(picture) for picture in pictures])
        rows.append(Scored(item, scores, cosine))
    return rows


def _cosine(clip: EvaluationClip, text: str, pictures: Sequence[np.ndarray]) -> float:
    # Pictures of one prompt may differ in size.
    images = torch.cat([clip.encode_images(picture[None]) for picture in pictures])
    return float(clip_sim(images, clip.encode_texts([text]).expand_as(images)).mean())
