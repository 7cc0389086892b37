"""Which frozen encoders made the features: checksums over weights and vocabularies.

Features of one encoder are noise to a model that was built on another, and shapes often agree, so nothing else would
tell. Torch-free.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

from lit_outpaint.data.schema import Card, ShardError

PARTS: Final = ("vae", "text_encoder", "tokenizer", "image_encoder", "image_processor")
"""Folders of a model directory whose content decides what the features are."""

# Neither variants (``model.fp16.safetensors``) nor ``config.json`` count: the first is not what is loaded, the second
# carries library versions that change when a model is saved again.
_COUNTED: Final = re.compile(
    r"(?:model|diffusion_pytorch_model)(?:-\d+-of-\d+)?\.safetensors"
    r"|tokenizer\.json|vocab\.json|merges\.txt|spiece\.model|preprocessor_config\.json"
)


def file_sha256(path: Path) -> str:
    """Checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encoder_fingerprints(models: Path) -> dict[str, str]:
    """Checksum of every frozen part of a model directory in diffusers layout.

    Raises:
        ValueError: a part has no folder, or no weights in safetensors.
    """
    fingerprints: dict[str, str] = {}
    for part in PARTS:
        folder = models / part
        files = sorted(p for p in folder.iterdir() if _COUNTED.fullmatch(p.name)) if folder.is_dir() else []
        if not files:
            raise ValueError(
                f"a model directory needs {', '.join(PARTS)} with weights in safetensors, but {folder} has none;"
                " give the directory that holds model_index.json"
            )
        digest = hashlib.sha256()
        for path in files:
            digest.update(f"{path.name}:{file_sha256(path)}\n".encode())
        fingerprints[part] = digest.hexdigest()
    return fingerprints


def require_same_encoders(card: Card, models: Path) -> None:
    """Refuse features that other encoders made.

    Raises:
        ShardError: a part of ``models`` differs from the one that the card names.
    """
    here = encoder_fingerprints(models)
    different = [part for part in PARTS if card.encoders.get(part) != here[part]]
    if different:
        raise ShardError(
            f"the features were made by another {', '.join(different)} than that of {models}; encode the set anew with"
            f" `python -m data_prep all --models {models}` or train with the model directory it was made with"
        )
