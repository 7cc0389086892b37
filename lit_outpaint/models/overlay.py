"""Model directories of outpainting: whole, or as an overlay that leaves the frozen parts in a model family.

An overlay holds ``unet/``, ``context/``, perhaps ``scheduler/``, and ``outpaint.json`` = ``{"base": PATH}``, where
PATH, relative to the overlay, is the model family that the rest is taken from.
"""

import json
from pathlib import Path

OVERLAY_NAME = "outpaint.json"
"""File that marks a directory as an overlay."""


def family_of(overlay: Path) -> Path:
    """The model family that an overlay stands on.

    Raises:
        ValueError: the directory is no overlay, or names no family.
    """
    if not (overlay / OVERLAY_NAME).is_file():
        raise ValueError(f"{overlay} holds no {OVERLAY_NAME}, so it stands on no model family")
    named = json.loads((overlay / OVERLAY_NAME).read_text(encoding="utf-8"))
    if not isinstance(named, dict) or not isinstance(named.get("base"), str):
        raise ValueError(f'{overlay / OVERLAY_NAME} must name the model family, as in {{"base": ".."}}')
    return (overlay / named["base"]).resolve()


def part_directories(directory: Path) -> list[Path]:
    """The directories whose files make up the pipeline in ``directory``, an overlay's base included."""
    names = ["vae", "text_encoder", "tokenizer", "image_encoder", "image_processor", "unet", "context", "scheduler"]
    places = [directory, family_of(directory)] if (directory / OVERLAY_NAME).is_file() else [directory]
    found = [next((place / name for place in places if (place / name).is_dir()), None) for name in names]
    return [part for part in found if part is not None]
