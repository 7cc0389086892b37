"""Model directories of outpainting: whole, or as an overlay that leaves the frozen parts in a model family.

An overlay holds ``unet/``, ``context/``, perhaps ``scheduler/``, and ``outpaint.json``: ``base``, the model family that
the rest is taken from, and ``vision``, the CLIP whose vision encoder stands in for the family's, each a path relative
to the overlay or ``hub:owner/name``; ``context``, the class of the conditioning part, and ``attention``, the attention
rule with its arguments, where these are not the usual ones; ``language``, the language model that its features come
from. In place of ``unet/`` there may be ``unet_changes.safetensors``, the weights in which its U-Net differs from the
family's.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from lit_outpaint.system.one_line import one_line

OVERLAY_NAME = "outpaint.json"
"""File that marks a directory as an overlay."""

UNET_CHANGES = "unet_changes.safetensors"
"""File of an overlay with the U-Net's weights that differ from the family's."""

PIPELINE_NAME = "OutpaintPipeline"
"""Class of a whole model, as its ``model_index.json`` names it."""

HUB = "hub:"
"""Begins the name of a home that is a model of the hub."""


def is_model(directory: str | Path) -> Path:
    """The directory of a model, whole or as an overlay.

    Raises:
        ValueError: there is none.
    """
    directory = Path(directory)
    if not directory.is_dir():
        fault = "is a file; export makes a model of a checkpoint" if directory.exists() else "does not exist"
        raise ValueError(f"the model must be a directory with a pipeline, {directory} {fault}")
    if not any((directory / name).is_file() for name in (OVERLAY_NAME, "model_index.json")):
        raise ValueError(
            f"the model must hold {OVERLAY_NAME} or model_index.json, {directory} holds neither; export one"
        )
    return directory


def check_outpaints(directory: Path) -> None:
    """Refuse a model of another kind, by its configuration alone.

    Args:
        directory: of a model (`is_model`).

    Raises:
        ValueError: it is a pipeline of another class, or its configuration cannot be read.
    """
    if (directory / OVERLAY_NAME).is_file():
        return
    index = directory / "model_index.json"
    try:
        kind = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the model in {directory} cannot be loaded: {index.name}: {one_line(error)}") from error
    if kind != PIPELINE_NAME:
        raise ValueError(
            f"the model in {directory} cannot be loaded: outpainting takes a model of its own, this is a {kind}; fit "
            "trains one on it"
        )


class Overlay(NamedTuple):
    """What ``outpaint.json`` says."""

    base: Path
    """Directory of the model family."""
    context: str | None = None
    """Import path of the conditioning part's class; None is ``ContextEncoder``."""
    attention: dict[str, Any] | None = None
    """Description of the attention rule (`lit_outpaint.system.named`); None is every row everywhere."""
    language: dict[str, Any] | None = None
    """Description of the language encoder; None is none. A path in it that is relative is so to the overlay's file."""
    vision: Path | None = None
    """Directory of the CLIP whose vision encoder is used; None is the family's own."""


def read_overlay(directory: Path) -> Overlay:
    """Read what an overlay stands on.

    Raises:
        ValueError: the directory is no overlay, or its file is not as it should be.
    """
    path = directory / OVERLAY_NAME
    if not path.is_file():
        raise ValueError(f"{directory} holds no {OVERLAY_NAME}, so it stands on no model family")
    said = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(said, dict) or not isinstance(said.get("base"), str):
        raise ValueError(f'{path} must name the model family, as in {{"base": ".."}}')
    chosen = (said.get("attention"), said.get("language"))
    if not isinstance(said.get("context"), str | None) or not all(isinstance(part, dict | None) for part in chosen):
        raise ValueError(
            f"{path}: context must be the path of a class, attention and language a class_path with init_args"
        )
    language = said.get("language")
    vision = said.get("vision")
    if not isinstance(vision, str | None):
        raise ValueError(f"{path}: vision must be the path or the hub name of a CLIP")
    return Overlay(
        home_at(directory, said["base"]),
        said.get("context"),
        said.get("attention"),
        None if language is None else language_at(directory, language),
        None if vision is None else home_at(directory, vision),
    )


def language_at(directory: Path, language: dict[str, Any]) -> dict[str, Any]:
    """The description of a language encoder, with the place where a model directory means it to be.

    Raises:
        ValueError: it is not there.
    """
    told = str(language.get("init_args", {}).get("path"))
    place = (directory / told).resolve()
    if place.is_dir():
        return {**language, "init_args": {**language["init_args"], "path": str(place)}}
    # A name on the hub stays what it is.
    if told.startswith((".", "/")):
        raise ValueError(f"{directory} reads features of the language model {told}, which is not there; put it there")
    return language


def language_of(directory: Path) -> dict[str, Any] | None:
    """The description of the language encoder that a model directory reads, whole or an overlay; None where none."""
    if (directory / OVERLAY_NAME).is_file():
        return read_overlay(directory).language
    index = directory / "model_index.json"
    language = json.loads(index.read_text(encoding="utf-8")).get("language") if index.is_file() else None
    return None if language is None else language_at(directory, language)


def home_from(out: Path, home: str) -> str:
    """How an overlay at ``out`` names a directory or a model of the hub."""
    if Path(home).is_dir():
        return os.path.relpath(Path(home).resolve(), out.resolve())
    return f"{HUB}{home}"


def home_at(directory: Path, named: str) -> Path:
    """The directory that an overlay means; of a model of the hub, its copy on this machine.

    Raises:
        ValueError: this machine has no copy.
    """
    if not named.startswith(HUB):
        return (directory / named).resolve()
    # Only needed for names on the hub; takes a moment to load.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name = named.removeprefix(HUB)
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ValueError(
            f"{directory} stands on {name} of the hub, of which this machine has no copy; run hf download {name}"
        ) from error


def write_overlay(
    directory: Path,
    base: str,
    context: str | None,
    attention: dict[str, Any] | None,
    language: dict[str, Any] | None = None,
    vision: str | None = None,
) -> None:
    """Write ``outpaint.json``; what is None is left out. See `Overlay`, and `home_from` for ``base`` and ``vision``."""
    said = {"base": base, "vision": vision, "context": context, "attention": attention, "language": language}
    kept = {name: value for name, value in said.items() if value is not None}
    (directory / OVERLAY_NAME).write_text(json.dumps(kept) + "\n", encoding="utf-8")


def family_of(directory: Path) -> Path:
    """The model family that an overlay stands on (errors as in `read_overlay`)."""
    return read_overlay(directory).base


def part_directories(directory: Path) -> list[Path]:
    """The directories whose files make up the pipeline in ``directory``, an overlay's base included."""
    names = ["vae", "text_encoder", "tokenizer", "image_encoder", "image_processor", "unet", "context", "scheduler"]
    overlay = read_overlay(directory) if (directory / OVERLAY_NAME).is_file() else None
    places = [directory] if overlay is None else [directory, overlay.base]
    eyes = [] if overlay is None or overlay.vision is None else [overlay.vision]
    if eyes:
        names = [name for name in names if not name.startswith("image_")]
    found = [next((place / name for place in places if (place / name).is_dir()), None) for name in names]
    return [*(part for part in found if part is not None), *eyes]


def window_px_of(directory: Path) -> int | None:
    """Side of the windows that a pipeline draws, from its configuration alone; None where that does not say."""
    parts = {part.name: part / "config.json" for part in part_directories(directory)}
    try:
        cells = json.loads(parts["unet"].read_bytes())["sample_size"]
        levels = json.loads(parts["vae"].read_bytes())["block_out_channels"]
        return int(cells) * 2 ** (len(levels) - 1)
    except (OSError, ValueError, KeyError, TypeError):
        return None
