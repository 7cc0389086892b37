"""Which frozen encoders made the features: checksums over weights and vocabularies.

Features of one encoder are noise to a model that was built on another, and shapes often agree, so nothing else would
tell. Torch-free.
"""

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Final

from lit_outpaint.data.schema import Card, ShardError
from lit_outpaint.system.files import file_sha256

log = logging.getLogger(__name__)

# ``config.json`` does not count: it carries library versions that change when a model is saved again. Variants count
# where there are no plain weights: then they are what is loaded.
_WEIGHTS: Final = re.compile(r"(?:model|diffusion_pytorch_model)(?:-\d+-of-\d+)?\.safetensors")
_HALF_WEIGHTS: Final = re.compile(r"(?:model|diffusion_pytorch_model)\.fp16(?:-\d+-of-\d+)?\.safetensors")
_OLD_WEIGHTS: Final = re.compile(r"pytorch_model\.bin")
_WORDS: Final = re.compile(r"tokenizer\.json|vocab\.json|merges\.txt|spiece\.model")
_PROCESSOR: Final = re.compile(r"preprocessor_config\.json")

PARTS: Final = {
    "vae": _WEIGHTS,
    "text_encoder": _WEIGHTS,
    "tokenizer": _WORDS,
    "image_encoder": _WEIGHTS,
    "image_processor": _PROCESSOR,
}
"""Folders of a model directory whose content decides what the features are, and the files that count."""

VISION_PARTS: Final = ("image_encoder", "image_processor")
"""Parts that a CLIP of its own stands in for, with its files in one folder."""

_PATTERNS: Final = ("*.json", "*.txt", "*.safetensors")
_HUB_PATTERNS: Final = ("unet/config.json", *(f"{part}/{pattern}" for part in PARTS for pattern in _PATTERNS))
_HUB_VISION_PATTERNS: Final = (*_PATTERNS, "pytorch_model.bin")


def encoder_fingerprints(models: str | Path, vision: str | Path | None = None) -> dict[str, str]:
    """Checksum of every frozen part of a model family.

    Args:
        models: directory in diffusers layout, or a name on the hub, whose parts are then downloaded where they are not.
        vision: directory or hub name of the CLIP whose vision encoder is used instead of the family's own.

    Raises:
        ValueError: a part has no folder or no weights, or the hub has no such model or cannot be reached.
    """
    family = _directory(models, _HUB_PATTERNS)
    eyes = _directory(vision, _HUB_VISION_PATTERNS) if vision is not None else None
    folders = {part: family / part for part in PARTS}
    if eyes is not None:
        folders |= dict.fromkeys(VISION_PARTS, eyes)
    return {part: _checksum(part, folder) for part, folder in folders.items()}


def require_same_encoders(card: Card, models: str | Path, vision: str | Path | None = None) -> None:
    """Refuse features that other encoders made.

    Raises:
        ShardError: a part of ``models`` or ``vision`` differs from the one that the card names.
    """
    here = encoder_fingerprints(models, vision)
    different = [part for part in PARTS if card.encoders.get(part) != here[part]]
    if different:
        flags = f"--models {models}" + ("" if vision is None else f" --vision {vision}")
        raise ShardError(
            f"the features were made by another {', '.join(different)} than that of {models}; encode the set again with"
            f" `python -m data_prep all {flags}` or train with the model directory it was made with"
        )


def require_same_encoders_at_hand(card: Card, models: str | Path, vision: str | Path | None = None) -> None:
    """As `require_same_encoders`, but where a model of the hub cannot be had to compare, only warn.

    Training reads features, so that a machine without network may lack the encoders.

    Raises:
        ShardError: other encoders made the features.
        ValueError: a local directory holds no such models.
    """
    try:
        require_same_encoders(card, models, vision)
    except ShardError:
        raise
    except ValueError as error:
        if not any(is_hub_name(name) for name in (models, vision) if name is not None):
            raise
        log.warning("the encoders that made the features cannot be compared with the model's: %s", error)


def require_same_language(card: Card, here: dict[str, str]) -> None:
    """Refuse language features that another model made, or the same one read in another way.

    Args:
        card: of the shards.
        here: what the encoder that training and drawing will use says of itself (``LanguageConfig.card``).

    Raises:
        ShardError: they are so, or the set holds none.
    """
    stored = card.language
    different = [
        f"{name} {stored.get(name)!r}, not {said!r}" for name, said in here.items() if stored.get(name) != said
    ]
    if not card.language:
        raise ShardError(
            "the shards hold no language features; encode them with `python -m data_prep all --language ...`, or set"
            " model.language_online"
        )
    if different:
        raise ShardError(
            f"the language features of the shards have {different[0]}; encode them again, or change language"
        )


def family_window_px(models: str | Path) -> int | None:
    """Side of the windows that a family was trained on; None where its configuration does not say."""
    directory = _directory(models, _HUB_PATTERNS)
    try:
        cells = json.loads((directory / "unet" / "config.json").read_bytes())["sample_size"]
        levels = json.loads((directory / "vae" / "config.json").read_bytes())["block_out_channels"]
    except (OSError, ValueError, KeyError):
        return None
    return int(cells) * 2 ** (len(levels) - 1)


def is_hub_name(name: str | Path) -> bool:
    """Whether a name that is no directory reads like one of the hub, ``owner/name``."""
    path = Path(name)
    return len(path.parts) == 2 and not path.is_absolute() and not path.parent.exists()


def require_at_hand(name: str | Path) -> None:
    """Refuse a model of the hub that is neither on this machine nor to be had, before its parts are asked for.

    Raises:
        ValueError: that is so.
    """
    _directory(name, ("model_index.json",))


def _directory(name: str | Path, patterns: tuple[str, ...]) -> Path:
    """Where the files of a model lie: the directory itself, or the copy of a hub model on this machine.

    Raises:
        ValueError: a hub name, and the model is neither here nor to be had.
    """
    if not is_hub_name(name):
        return Path(name)
    # Only needed for names on the hub; takes a moment to load.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(name), allow_patterns=list(patterns)))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name} is no directory, and the hub does not give it: {reason}") from error


def _checksum(part: str, folder: Path) -> str:
    """Of the files of a part.

    Raises:
        ValueError: there are none.
    """
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [path for path in present if PARTS[part].fullmatch(path.name)]
    if not files and PARTS[part] is _WEIGHTS:
        files = [path for path in present if _HALF_WEIGHTS.fullmatch(path.name)]
    if not files and part in VISION_PARTS:
        files = [path for path in present if _OLD_WEIGHTS.fullmatch(path.name)]
    if not files:
        raise ValueError(
            f"a model directory needs {', '.join(PARTS)} with weights in safetensors, but {folder} has none; give the"
            " directory that holds model_index.json, and --vision for a family without an image encoder"
        )
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}:{file_sha256(path)}\n".encode())
    return digest.hexdigest()
