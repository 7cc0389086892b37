"""A run of ``generate`` on disk: pictures of prompts, a line of record each, and the settings that made them.

A picture is there when its file and its line are: the file is written whole before the line. The same command given
again draws what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.system.files import make_out, written_whole
from lit_outpaint.system.text import clean
from lit_outpaint.system.text_files import csv_rows, json_lines, json_value, read_text, text_lines

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from numpy import ndarray

RUN_NAME: Final = "run.yaml"
LINES_NAME: Final = "pictures.jsonl"
OTHERS_NAME: Final = "rounds"
"""Folder of the pictures that a method made on the way."""
MAX_ID_BYTES: Final = 200
"""File names have 255, of which endings and numbers take some."""


class Prompt(NamedTuple):
    """What is to be drawn."""

    id: str
    """Names the file of the picture; letters, digits, ``_``, ``-`` and ``.``."""
    text: str


class PictureRecord(BaseModel):
    """A line of ``pictures.jsonl``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """Names the file of the picture."""
    prompt: str
    """What was asked for."""
    seed: int
    """Of the picture's noise."""
    seconds: float
    """Time it took, as its share of its batch."""
    sha256: str
    """Of its pixels."""
    notes: dict[str, Any] = Field(default_factory=dict)
    """What the method has to say of it, such as its plan."""


def read_prompts(path: Path, what: str = "--prompts") -> list[Prompt]:
    """Read prompts from a file, each with an id of its own.

    Args:
        path: of the file: ``.csv`` with a column ``prompt`` and perhaps ``id``; ``.jsonl`` with objects of these, or
            texts; ``.json`` with a list of them; anything else has a prompt a line.
        what: messages call it.

    Raises:
        ValueError: a row holds no prompt, or two share an id; the message names file and line.
    """
    prompts: dict[str, str] = {}
    for where, said in _rows(path, what):
        row = {"prompt": said} if isinstance(said, str) else said
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
            raise ValueError(f"{where} must have a prompt, and perhaps an id")
        given = row.get("id")
        name = f"{len(prompts):04d}" if given is None else str(given)
        try:
            text = clean(row["prompt"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if not name or not all(letter.isalnum() or letter in "_-." for letter in name) or name.startswith("."):
            raise ValueError(f"{where}: an id holds letters, digits, '_', '-' and '.', got {name[:80]!r}")
        if len(name.encode()) > MAX_ID_BYTES:
            raise ValueError(f"{where}: an id has at most {MAX_ID_BYTES} bytes, got {len(name.encode())}")
        if name in prompts:
            raise ValueError(f"{where}: the id {name!r} comes twice")
        prompts[name] = text
    if not prompts:
        raise ValueError(f"{path} must hold at least one prompt")
    return [Prompt(*item) for item in prompts.items()]


def _rows(path: Path, what: str) -> Iterator[tuple[str, Any]]:
    """Where each prompt of a file stands, and what is said of it: a text, or an object."""
    if path.suffix == ".jsonl":
        yield from json_lines(path, what)
    elif path.suffix == ".csv":
        yield from csv_rows(path, what)
    elif path.suffix == ".json":
        rows = json_value(read_text(path, what), str(path))
        if not isinstance(rows, list):
            raise ValueError(f"{path} must be a list of prompts, or of objects with prompt and perhaps id")
        yield from ((f"{path}, entry {number}", row) for number, row in enumerate(rows, 1))
    else:
        yield from ((f"{path}:{number}", line) for number, line in text_lines(read_text(path, what)))


def repeated(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """Each prompt ``count`` times, with ids that tell the pictures apart."""
    if count == 1:
        return list(prompts)
    return [Prompt(f"{prompt.id}-{number}", prompt.text) for prompt in prompts for number in range(count)]


def picture_seed(run_seed: int, name: str) -> int:
    """The seed of one picture: a hash of the run's seed and the picture's id, in [0, 2**53)."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}/{name}".encode()).digest()[:8], "big") >> 11


class PictureRun:
    """The directory of a run.

    Its settings are written with the first picture: what cannot be drawn with them must not bind the next command.

    Args:
        directory: made when it is not there.
        settings: everything that decides the pictures, as plain values; the same for every command that continues.

    Raises:
        ValueError: the directory cannot be written, holds something else, or a run with other settings.
    """

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        self.directory, self._settings = directory, dict(settings)
        path = directory / RUN_NAME
        if not path.is_file():
            if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
                raise ValueError(f"--out must be a new directory or a run of generate, but {directory} holds other files")
            make_out(directory)
            return
        try:
            before = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no run of generate: {' '.join(str(error).split())}") from error
        held = before if isinstance(before, dict) else {}
        for name in {**settings, **held}:
            if held.get(name) != settings.get(name):
                raise ValueError(
                    f"--out {directory} holds a run with {name} {held.get(name)!r}, not {settings.get(name)!r}; give the"
                    " same settings to continue, or another --out"
                )

    def done(self) -> dict[str, PictureRecord]:
        """Records of the pictures that are there, by id; a line that a kill cut short does not count."""
        path = self.directory / LINES_NAME
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        found: dict[str, PictureRecord] = {}
        for line in lines:
            try:
                record = PictureRecord.model_validate_json(line)
            except ValidationError:
                continue
            if self.file(record.id).is_file():
                found[record.id] = record
        return found

    def file(self, name: str) -> Path:
        """Where a picture lies."""
        return self.directory / f"{name}.png"

    def add(
        self,
        prompt: Prompt,
        pixels: UInt8[ndarray, "h w 3"],
        seed: int,
        seconds: float,
        notes: dict[str, Any],
        others: Mapping[str, UInt8[ndarray, "h w 3"]] = MappingProxyType({}),
    ) -> PictureRecord:
        """Write a picture, then its line; before them ``others``, pictures on the way to it, into folders of theirs."""
        from PIL import Image

        if not (self.directory / RUN_NAME).is_file():
            with written_whole(self.directory / RUN_NAME) as draft:
                draft.write_text(yaml.safe_dump(self._settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
        for name, other in others.items():
            # A folder for each name, so that what scores a directory of pictures scores these as well.
            path = self.directory / OTHERS_NAME / name / f"{prompt.id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as draft:
                Image.fromarray(other).save(draft, format="PNG")
        with written_whole(self.file(prompt.id)) as draft:
            Image.fromarray(pixels).save(draft, format="PNG")
        record = PictureRecord(
            id=prompt.id,
            prompt=prompt.text,
            seed=seed,
            seconds=round(seconds, 3),
            sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
            notes=notes,
        )
        path = self.directory / LINES_NAME
        # A line that a kill cut short must not swallow the next one.
        torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + record.model_dump_json() + "\n")
        return record
