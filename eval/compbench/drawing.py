"""Pictures of prompts: drawn by a text-to-image model, or found in anybody's directory.

A picture is drawn from noise that belongs to (seed, prompt id), so it does not depend on batches, on other prompts, or
on which pictures were there already.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from PIL import Image

from eval.files import read_picture, write_text
from eval.seeding import key_generator
from eval.sources import load_base_pipeline
from lit_outpaint.captions.length import cut_off
from lit_outpaint.heldout.rollout import Pixels
from lit_outpaint.system.files import written_whole

DRAWN_NAME: Final = "drawn.json"
"""What a directory of drawn pictures was drawn with."""

Draw = Callable[[Sequence[str], Sequence[torch.Generator]], Pixels]
"""Pictures ``(n, H, W, 3)`` of prompts, each from its own generator."""


class TextToImage(NamedTuple):
    """A model that draws."""

    draw: Draw
    cut_off: Callable[[str], str]
    """The end of a prompt that it does not read; empty where it reads everything."""


@dataclass(frozen=True, kw_only=True)
class DrawingConfig:
    """How pictures are drawn."""

    num_inference_steps: int = 25
    """Denoising steps."""
    guidance_scale: float = 4.0
    """Classifier-free guidance."""
    seed: int = 0
    """Of the noise: each prompt has its own generator, seeded by this and its id."""
    batch_size: int = 32
    """Pictures per forward pass; on one machine it does not change a picture beyond rounding."""

    def __post_init__(self) -> None:
        for name in ("num_inference_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--drawing.{name} must be at least 1, got {getattr(self, name)}")


def text_to_image(model: Path, config: DrawingConfig) -> TextToImage:
    """The model that draws: the stock pipeline of a model family.

    Raises:
        FileNotFoundError: there is none.
    """
    pipeline = load_base_pipeline(model, "--model")
    # It prints the whole end of every prompt that the text encoder cuts; the report counts these prompts instead.
    logging.getLogger(type(pipeline).__module__).setLevel(logging.ERROR)

    def draw(prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Pixels:
        images = pipeline(
            prompt=list(prompts),
            num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale,
            generator=list(generators),
            output_type="np",
        ).images
        return np.stack([(image * 255).round().astype(np.uint8) for image in images])

    return TextToImage(draw, partial(cut_off, pipeline.tokenizer))


def draw_missing(directory: Path, texts: dict[str, str], draw: Draw, config: DrawingConfig) -> None:
    """Draw the pictures that are not there yet, ``ID.png`` each.

    Args:
        directory: of the pictures.
        texts: prompts by id.
        draw: the model.
        config: how.
    """
    directory.mkdir(parents=True, exist_ok=True)
    missing = [key for key in texts if not (directory / f"{key}.png").is_file()]
    for start in range(0, len(missing), config.batch_size):
        keys = missing[start : start + config.batch_size]
        pictures = draw([texts[key] for key in keys], [key_generator(config.seed, key) for key in keys])
        for key, picture in zip(keys, pictures, strict=True):
            with written_whole(directory / f"{key}.png") as draft:
                Image.fromarray(picture).save(draft, format="PNG")
        print(f"{len(texts) - len(missing) + start + len(keys)}/{len(texts)} pictures", flush=True)


def check_same_drawing(out: Path, model: Path, config: DrawingConfig) -> None:
    """Note what pictures are drawn with, and refuse to go on in a directory of other ones.

    Raises:
        ValueError: the pictures that are there come from other weights or settings.
    """
    made = {"model": _weights_checksum(model), **asdict(config)}
    del made["batch_size"]
    file = out / DRAWN_NAME
    if file.is_file() and (before := json.loads(file.read_text(encoding="utf-8"))) != made:
        apart = sorted(key for key in {*made, *before} if made.get(key) != before.get(key))
        raise ValueError(f"{out} holds pictures drawn with another {', '.join(apart)}; name another --out")
    write_text(file, json.dumps(made, indent=1) + "\n")


def load_pictures(directory: Path, keys: Sequence[str], flag: str) -> Pixels:
    """Pictures ``(n, H, W, 3)`` by key.

    Raises:
        ValueError: one is missing or cannot be read, or they differ in size.
    """
    missing = [key for key in keys if not (directory / f"{key}.png").is_file()]
    if missing:
        raise ValueError(
            f"{flag} must hold a picture ID.png for every prompt, but {len(missing)} of {len(keys)} are missing in "
            f"{directory}, such as {missing[0]}.png"
        )
    pictures = [np.array(read_picture(directory / f"{key}.png")) for key in keys]
    sizes = {picture.shape[1::-1] for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"{flag} must hold pictures of one size, got {sorted(sizes)} in {directory}")
    return np.stack(pictures)


def _weights_checksum(model: Path) -> str:
    """Of all weights of a family's text-to-image model."""
    digest = hashlib.sha256()
    for part in ("text_encoder", "unet", "vae"):
        for file in sorted((model / part).glob("*.safetensors")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
