"""Which model a run is drawn with: a hash of its weights and of the settings that come with them.

A large model takes longer to read than a step takes to draw, so that of large files many places are read, not all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lit_outpaint.models.overlay import OVERLAY_NAME, UNET_CHANGES, is_model, part_directories, read_overlay

_KIND: Final = "2:"
"""Begins a fingerprint; those of the first kind are bare."""
_SUFFIXES: Final = (".json", ".model", ".safetensors", ".txt")
_WHOLE_BYTES: Final = 64 << 20
"""Larger files are read in places."""
_PLACE_BYTES, _PLACE_EVERY_BYTES = 4 << 10, 1 << 20


def fingerprint(model: str | Path, like: str = _KIND) -> str:
    """The fingerprint of a model, which does not depend on where the model lies.

    Args:
        model: directory of a pipeline, whole or an overlay.
        like: a fingerprint that it is to be compared with: a run keeps the kind that it began with.

    Raises:
        ValueError: the directory holds no model.
    """
    model = is_model(model)
    if not like.startswith(_KIND):
        return _first_kind(model)
    digest = hashlib.sha256()
    settings, language = _settings(model)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, path in _files(model, language):
        size = path.stat().st_size
        digest.update(f"\n{name}:{size}\n".encode())
        with path.open("rb", buffering=0) as file:
            if size <= _WHOLE_BYTES:
                while piece := file.read(_PLACE_EVERY_BYTES):
                    digest.update(piece)
                continue
            for begin in (*range(0, size, _PLACE_EVERY_BYTES), size - _PLACE_BYTES):
                file.seek(begin)
                digest.update(file.read(_PLACE_BYTES))
    return _KIND + digest.hexdigest()


def _settings(model: Path) -> tuple[dict[str, Any], Path | None]:
    """What a model says of its parts beside their own files, and the directory of its language model."""
    if (model / OVERLAY_NAME).is_file():
        overlay = read_overlay(model)
        settings: dict[str, Any] = {name: getattr(overlay, name) for name in ("context", "attention", "language")}
    else:
        index = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
        settings = {name: value for name, value in index.items() if not name.startswith("_")}
    path = (settings.get("language") or {}).get("init_args", {}).get("path")
    if path is None or not Path(path).is_dir():
        return settings, None
    language = settings["language"]
    return settings | {"language": {**language, "init_args": {**language["init_args"], "path": None}}}, Path(path)


def _files(model: Path, language: Path | None) -> Iterator[tuple[str, Path]]:
    """The files that decide a picture, by names that do not tell where they lie."""
    vision = read_overlay(model).vision if (model / OVERLAY_NAME).is_file() else None
    for part in part_directories(model):
        label = "vision" if part == vision else part.name
        yield from _files_below(label, part, sorted(part.rglob("*")))
    if language is not None:
        # A language model may be a whole family, in whose directory others lie: these are the parts that are read.
        below = (path for name in ("text_encoder", "tokenizer") for path in sorted((language / name).rglob("*")))
        yield from _files_below("language", language, [*sorted(language.iterdir()), *below])
    if (model / UNET_CHANGES).is_file():
        yield UNET_CHANGES, model / UNET_CHANGES


def _files_below(label: str, directory: Path, paths: list[Path]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.suffix in _SUFFIXES and path.is_file():
            yield f"{label}/{path.relative_to(directory).as_posix()}", path


def _first_kind(model: Path) -> str:
    """Of runs that began with it: names and sizes of the files of the parts, and up to 1 MiB of each end."""
    digest, end_bytes = hashlib.sha256(), 1 << 20
    for part in part_directories(model):
        for path in sorted(part.rglob("*")):
            if not path.is_file() or path.suffix not in (".json", ".safetensors", ".txt"):
                continue
            size = path.stat().st_size
            digest.update(f"{part.name}/{path.relative_to(part).as_posix()}:{size}\n".encode())
            with path.open("rb") as file:
                digest.update(file.read(end_bytes))
                file.seek(max(size - end_bytes, 0))
                digest.update(file.read(end_bytes))
    return digest.hexdigest()
