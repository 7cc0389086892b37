"""Captions of many pictures from one file: which caption belongs to which picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lit_outpaint.system.text import clean
from lit_outpaint.system.text_files import csv_rows, json_lines, json_value, read_text, text_lines

_FLAG: Final = "--captions_from"
_NAMES, _TEXTS = ("image", "file_name"), ("caption", "text")
"""Keys of a record: ours, and those of the ``metadata.jsonl`` of Hugging Face's image folders."""


def read_picture_captions(path: Path) -> dict[str, str]:
    """Read the captions of pictures by file name.

    The file is one of: ``.jsonl``, a record ``{"image": "a.png", "caption": "..."}`` a line; ``.json``, one map from
    names to captions or a list of such records; ``.csv`` with columns ``image`` and ``caption``; anything else, text
    with a name, a tab and a caption a line.

    Raises:
        ValueError: the file cannot be read, names a picture twice, or a caption holds no word; the line says where.
    """
    captions: dict[str, str] = {}
    for where, name, caption in _pairs(path):
        if not Path(name).name:
            raise ValueError(f"{where}: a picture must have a name, got {name!r}")
        if Path(name).name in captions:
            raise ValueError(f"{where}: {name} has a caption already; keep one")
        try:
            captions[Path(name).name] = clean(caption)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    if not captions:
        raise ValueError(f"{path} must hold a caption per picture, got none")
    return captions


def _pairs(path: Path) -> Iterator[tuple[str, str, str]]:
    """Where it stands, the picture, its caption."""
    if path.suffix == ".json":
        value = json_value(read_text(path, _FLAG), str(path))
        if isinstance(value, dict):
            value = [{"image": name, "caption": caption} for name, caption in value.items()]
        if not isinstance(value, list):
            raise ValueError(f"{path} must be a map from pictures to captions, or a list of records")
        for number, record in enumerate(value, 1):
            yield _pair(record, f"{path}, entry {number}")
        return
    if path.suffix in (".jsonl", ".csv"):
        for where, record in (json_lines if path.suffix == ".jsonl" else csv_rows)(path, _FLAG):
            yield _pair(record, where)
        return
    for number, line in text_lines(read_text(path, _FLAG)):
        where = f"{path}:{number}"
        name, tab, caption = line.partition("\t")
        if not tab:
            raise ValueError(f"{where} must be a picture, a tab and its caption, got {line[:40]!r}")
        yield where, name.strip(), caption


def _pair(record: Any, where: str) -> tuple[str, str, str]:
    found = record if isinstance(record, dict) else {}
    name, caption = (next((found[key] for key in keys if key in found), None) for keys in (_NAMES, _TEXTS))
    if not isinstance(name, str) or not isinstance(caption, str):
        raise ValueError(f'{where} must be a record such as {{"image": "a.png", "caption": "a lake"}}')
    return where, name, caption
