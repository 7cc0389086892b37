"""Pictures of prompts: drawn by a text-to-image model as ``lit_outpaint generate`` does, or found in a directory."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Final

import numpy as np

from eval.compbench.config import DrawingConfig
from eval.files import PICTURES_NAME, read_picture, write_text
from lit_outpaint.captions.length import cut_off
from lit_outpaint.cli.generate import GenerateConfig, generate
from lit_outpaint.heldout.walks import Pixels
from lit_outpaint.models.overlay import UNET_CHANGES, is_model
from lit_outpaint.text_to_image import load_text_to_image

MODEL_NAME: Final = "model"
"""Where the export of a training checkpoint lies."""
PROMPTS_NAME: Final = "prompts.jsonl"
"""The prompts that were drawn, with their ids."""


def draw(out: Path, texts: Mapping[str, str], model: Path, config: DrawingConfig) -> Path:
    """Draw the pictures that are not there yet, ``ID.png`` each.

    Other methods than the model's own, and other runs of ``generate``, are drawn by that verb from the same prompt file
    and given as ``--images``.

    Args:
        out: directory of the bench's run.
        texts: prompts by id.
        model: Stable Diffusion directory, export or overlay; see `model_directory`.
        config: how.

    Returns:
        The directory of the pictures.

    Raises:
        ValueError: there is no such model, or pictures of other weights or settings are there.
    """
    weights = weights_checksum(model)
    directory = out / PICTURES_NAME
    note = directory.with_suffix(".json")
    if note.is_file() and json.loads(note.read_text(encoding="utf-8"))["weights"] != weights:
        raise ValueError(f"--out {out} holds pictures of other weights; name another one")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PROMPTS_NAME, "".join(json.dumps({"id": k, "prompt": v}) + "\n" for k, v in texts.items()))
    settings = GenerateConfig(
        prompts=str(out / PROMPTS_NAME),
        out=str(directory),
        model=str(model),
        seed=config.seed,
        batch_size=config.batch_size,
        device=config.device,
    )
    write_text(note, json.dumps({"weights": weights}) + "\n")
    return generate(settings, config.sampling)


def model_directory(model: Path, out: Path) -> Path:
    """The directory of a model; that of a training checkpoint is exported into ``out/model``.

    Raises:
        ValueError: there is no model.
        FileNotFoundError: the checkpoint's model family is not there.
    """
    if not model.is_file():
        return is_model(model)
    from lit_outpaint.cli.export import export  # Loads Lightning, which a model in a directory does not need.

    directory = out / MODEL_NAME
    shutil.rmtree(directory, ignore_errors=True)
    return export(model, directory)


def num_cut(model: Path, texts: Sequence[str]) -> int:
    """How many prompts the model's text encoder does not read to their end."""
    tokenizer = load_text_to_image(model).tokenizer
    return sum(bool(cut_off(tokenizer, text)) for text in texts)


def pictures_of_prompt(directory: Path, key: str) -> list[Path]:
    """Pictures of a prompt: ``KEY.png``, or ``KEY-0.png``, ``KEY-1.png``, ... as ``generate --num_images`` has them."""
    one = directory / f"{key}.png"
    numbered = (directory / f"{key}-{number}.png" for number in count())
    return [one] if one.is_file() else list(takewhile(Path.is_file, numbered))


def find_pictures(directory: Path, keys: Sequence[str], flag: str) -> list[list[Path]]:
    """Pictures of every prompt, as many of each, see `pictures_of_prompt`.

    Raises:
        ValueError: one is missing, or prompts differ in how many they have.
    """
    paths = [pictures_of_prompt(directory, key) for key in keys]
    missing = [key for key, mine in zip(keys, paths, strict=True) if not mine]
    if missing:
        raise ValueError(
            f"{flag} must hold a picture ID.png, or ID-0.png and further ones, for every prompt, but {len(missing)} of "
            f"{len(keys)} are missing in {directory}, such as {missing[0]}.png"
        )
    if len(counts := {len(mine) for mine in paths}) > 1:
        raise ValueError(f"{flag} must hold as many pictures of each prompt, got {sorted(counts)} in {directory}")
    return paths


def load_pictures(paths: Iterable[Path], flag: str) -> Pixels:
    """Pictures ``(n, H, W, 3)``.

    Raises:
        ValueError: one cannot be read, or they differ in size.
    """
    pictures = {path: np.array(read_picture(path)) for path in paths}
    sizes = {picture.shape[1::-1] for picture in pictures.values()}
    if len(sizes) > 1:
        raise ValueError(f"{flag} must hold pictures of one size, got {sorted(sizes)}, such as {next(iter(pictures))}")
    return np.stack(list(pictures.values()))


def weights_checksum(model: Path) -> str:
    """Of all weights in a model's directory that draw."""
    digest = hashlib.sha256()
    for part in ("text_encoder", "context", "unet", "vae"):
        for file in sorted((model / part).glob("*.safetensors")):
            digest.update(file.read_bytes())
    if (model / UNET_CHANGES).is_file():
        digest.update((model / UNET_CHANGES).read_bytes())
    return digest.hexdigest()[:16]
