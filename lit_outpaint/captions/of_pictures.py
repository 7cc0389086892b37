"""Captions of many pictures from one file: which caption belongs to which picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lit_outpaint.system.text import clean

_NAMES, _TEXTS = ("image", "file_name"), ("caption", "text")
"""Keys of a record: ours, and those of the ``metadata.jsonl`` of Hugging Face's image folders."""


def read_picture_captions(path: Path) -> dict[str, str]:
    """Read the captions of pictures by file name.

    The file is one of: ``.jsonl``, a record ``{"image": "a.png", "caption": "..."}`` a line; ``.json``, one map from
    names to captions or a list of such records; anything else, text with a name, a tab and a caption a line.

    Raises:
        ValueError: the file cannot be read, names a picture twice, or a caption holds no word; the line says where.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--captions_from must be a readable UTF-8 file, got {path}: {error}") from error
    captions: dict[str, str] = {}
    for where, name, caption in _pairs(path, text):
        if Path(name).name in captions:
            raise ValueError(f"{where}: {name} has a caption already; keep one")
        try:
            captions[Path(name).name] = clean(caption)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    if not captions:
        raise ValueError(f"{path} must hold a caption per picture, got none")
    return captions


def _pairs(path: Path, text: str) -> Iterator[tuple[str, str, str]]:
    """Where it stands, the picture, its caption."""
    if path.suffix == ".json":
        value = _parse(text, str(path))
        if isinstance(value, dict):
            value = [{"image": name, "caption": caption} for name, caption in value.items()]
        if not isinstance(value, list):
            raise ValueError(f"{path} must be a map from pictures to captions, or a list of records")
        for number, record in enumerate(value, 1):
            yield _pair(record, f"{path}, entry {number}")
        return
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        if path.suffix == ".jsonl":
            yield _pair(_parse(line, where), where)
            continue
        name, tab, caption = line.partition("\t")
        if not tab:
            raise ValueError(f"{where} must be a picture, a tab and its caption, got {line[:40]!r}")
        yield where, name.strip(), caption


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} must be JSON: {error}") from error


def _pair(record: Any, where: str) -> tuple[str, str, str]:
    found = record if isinstance(record, dict) else {}
    name, caption = (next((found[key] for key in keys if key in found), None) for keys in (_NAMES, _TEXTS))
    if not isinstance(name, str) or not isinstance(caption, str):
        raise ValueError(f'{where} must be a record such as {{"image": "a.png", "caption": "a lake"}}')
    return where, name, caption
