"""Folders of pictures by anybody, and their captions."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eval.files import pictures_in, read_picture
from lit_outpaint.canvas.compositing import to_pixel_values
from lit_outpaint.canvas.decoding import POLICY, PictureError, picture_suffixes, upright_size
from lit_outpaint.captions.of_pictures import read_picture_captions
from lit_outpaint.system.text_files import csv_rows, json_lines, json_value, read_text


@dataclass(frozen=True, kw_only=True)
class PictureFolder:
    """Pictures of one size, in the order of their names."""

    directory: Path
    paths: tuple[Path, ...]
    width: int
    height: int

    @property
    def keys(self) -> list[str]:
        """Names of the files without their endings."""
        return [path.stem for path in self.paths]

    def load(self, paths: Sequence[Path]) -> Float[Tensor, "n 3 h w"]:
        """Pictures in [-1, 1].

        Raises:
            ValueError: a file cannot be read to its end.
        """
        # Converted together: passes over one picture are too short to be shared by threads.
        levels = np.stack([np.asarray(read_picture(path)) for path in paths])
        return torch.as_tensor(to_pixel_values(levels)).contiguous()

    def content(self) -> str:
        """A checksum of all files, of their names, by which metrics draw samples, and of how they are read."""
        digests = [f"{path.stem} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in self.paths]
        return hashlib.sha256("".join([*digests, f"policy {POLICY}"]).encode()).hexdigest()


def read_folder(directory: Path, flag: str) -> PictureFolder:
    """Look at the pictures of a folder, not at what lies in folders inside it.

    Args:
        directory: of PNG, JPEG, WebP, BMP or TIFF files; others are passed over.
        flag: names the folder in messages.

    Raises:
        ValueError: there is none, a file is no picture, or sizes or names clash.
    """
    if not directory.is_dir():
        raise ValueError(f"{flag} must be a folder of pictures, found no folder {directory}")
    paths = pictures_in(directory)
    if not paths:
        raise ValueError(f"{flag} must hold pictures ({', '.join(picture_suffixes())}), found none in {directory}")
    sizes: dict[tuple[int, int], Path] = {}
    seen: dict[str, Path] = {}
    for path in paths:
        sizes.setdefault(_size(path), path)
        if path.stem in seen:
            raise ValueError(f"{flag}: pictures must differ in name, got {seen[path.stem].name} and {path.name}")
        seen[path.stem] = path
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise ValueError(
            f"{flag}: all pictures must have one size, got {one[0]} x {one[1]} px ({first.name}) and {other[0]} x "
            f"{other[1]} px ({second.name}); crop or resize them first"
        )
    width, height = next(iter(sizes))
    return PictureFolder(directory=directory, paths=tuple(paths), width=width, height=height)


class Captions(NamedTuple):
    """Of one picture."""

    whole: str
    local: tuple[str, ...] = ()
    """Of the start window and of each step; empty where there are none."""


def read_captions(file: Path, keys: Iterable[str]) -> dict[str, Captions]:
    """The captions of pictures.

    Args:
        file: ``.json``, an object from the picture's name to its caption, or to ``{"caption", "local_captions"}``;
            ``.jsonl``, a line ``{"image", "caption", "local_captions"}`` each; ``.csv`` with columns ``image`` and
            ``caption``; or ``.tsv``, a line ``NAME<tab>caption`` each. Names may end like the file or not.
        keys: the pictures that need captions.

    Raises:
        ValueError: the file is of another kind, a row is incomplete, or a picture has no caption.
    """
    if not file.is_file():
        raise ValueError(f"--captions must be a .json, .jsonl, .csv or .tsv file, found no {file}")
    wanted = list(keys)
    rows: dict[str, Captions] = {}
    for name, row in _rows(file):
        key = _key_of(name)
        if key in rows and key in wanted:
            raise ValueError(f"--captions must have one caption for every picture, {file} has several for {key}")
        rows[key] = row
    missing = [key for key in wanted if not rows.get(key, Captions("")).whole.strip()]
    if missing:
        raise ValueError(
            f"--captions must have a caption for every picture; {len(missing)} of {len(wanted)} have none, such as "
            f"{missing[0]}"
        )
    return {key: rows[key] for key in wanted}


def _rows(file: Path) -> Iterable[tuple[str, Captions]]:
    if file.suffix == ".json":
        content = json_value(read_text(file, "--captions"), str(file))
        if not isinstance(content, dict):
            raise ValueError(f"--captions: {file} must be an object from pictures to captions; see eval score --help")
        for name, value in content.items():
            row = {"caption": value} if isinstance(value, str) else value
            yield _row(row, f"{file}, {name}", name)
    elif file.suffix in (".jsonl", ".csv"):
        for where, row in (json_lines if file.suffix == ".jsonl" else csv_rows)(file, "--captions"):
            yield _row(row, where)
    elif file.suffix == ".tsv":
        for name, caption in read_picture_captions(file).items():
            yield name, Captions(caption)
    else:
        raise ValueError(f"--captions must be a .json, .jsonl, .csv or .tsv file, got {file.name}")


def _row(row: Any, where: str, name: Any = None) -> tuple[str, Captions]:
    found = row if isinstance(row, dict) else {}
    name, caption, local = found.get("image", name), found.get("caption"), found.get("local_captions") or ()
    if not (isinstance(name, str) and isinstance(caption, str) and isinstance(local, list | tuple)):
        raise ValueError(
            f'--captions: {where} must be a row such as {{"image": "a.png", "caption": "a lake"}}; see python -m eval '
            "score --help"
        )
    return name, Captions(caption, tuple(map(str, local)))


def _key_of(name: str) -> str:
    """The name of a picture without folders and without its ending, if it is one of pictures: "v1.5" has none."""
    path = Path(name)
    return path.stem if path.suffix.lower() in picture_suffixes() else path.name


def _size(path: Path) -> tuple[int, int]:
    try:
        return upright_size(path)
    except PictureError as error:
        raise ValueError(f"{path} must be a readable picture ({error}); mend or remove it") from error
