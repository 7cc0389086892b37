"""The plan of a run as the user writes it: strips on the four sides, a rectangle, a ring, or windows one by one.

A plan is text: ``right:8,left:4``, ``to:2048x512``, ``loop:16``, or a YAML list of steps. Where its windows lie follows
from the first image; `lit_outpaint.canvas.graph` works that out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lit_outpaint.canvas.geometry import VAE_FACTOR, Direction, check_direction
from lit_outpaint.system.text import clean
from lit_outpaint.system.text_files import read_text


@dataclass(frozen=True)
class Strips:
    """Steps on one side, on the rows or columns of the window in the middle of the first image."""

    direction: Direction
    count: int = 1

    def __str__(self) -> str:
        return f"{self.direction}:{self.count}"


@dataclass(frozen=True)
class Rectangle:
    """Everything around the picture up to a size in pixels, corners included."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"to:{self.width}x{self.height}"


@dataclass(frozen=True)
class Ring:
    """Steps to the right, the last of which meets the left end of the picture."""

    count: int

    def __str__(self) -> str:
        return f"loop:{self.count}"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An entry of a plan file: steps on a side, or one window anywhere at the edge of what is known."""

    direction: Direction | None = None
    """The side that grows; with ``window`` it may be left out where the known part tells it."""
    times: int = 1
    """How many steps; 1 with ``window``."""
    window: tuple[int, int] | None = None
    """Left and upper edge of the window on the canvas, px; (0, 0) is the corner of the first image."""
    caption: str = ""
    """Local caption of each of the steps; the captioner writes it when empty."""

    def __post_init__(self) -> None:
        if self.direction is None and self.window is None:
            raise ValueError("a step of a plan needs a direction (left, right, up, down) or a window, [x, y]")
        if self.times < 1 or (self.times > 1 and self.window is not None):
            raise ValueError(f"times must be a positive whole number, and 1 for a window, got {self.times}")


Part = Strips | Rectangle | Ring | Listed


@dataclass(frozen=True)
class Plan:
    """What a run is to draw, in the order in which it was written."""

    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        """The text that `parse_plan` reads back."""
        if any(isinstance(part, Listed) for part in self.parts):
            return json.dumps([_as_entry(part) for part in self.parts], ensure_ascii=False)
        return ",".join(map(str, self.parts))

    def __add__(self, more: Plan) -> Plan:
        return Plan(self.parts + more.parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)


def parse_plan(text: str) -> Plan:
    """Read ``right:8,left:4`` (a direction without a number counts once), ``to:2048x512``, ``loop:16`` or a YAML list.

    Raises:
        ValueError: a part is none of these, or holds no positive number.
    """
    if text.lstrip().startswith("["):
        return _parse_list(text, "the plan")
    return Plan(tuple(_parse_part(part.strip()) for part in text.split(",")))


def read_plan(path: Path) -> Plan:
    """Read a plan file: a YAML list whose entries are texts as above, or maps with the fields of `Listed`.

    Raises:
        ValueError: the file cannot be read, or an entry is no step; the line says which.
    """
    return _parse_list(read_text(path, "the plan"), str(path))


def stride_of(window_px: int, overlap_px: int) -> int:
    """New pixels per step; both numbers must be whole latent cells.

    Raises:
        ValueError: a side is no multiple of the VAE factor, or the overlap is not inside the window.
    """
    for name, value in (("window_px", window_px), ("overlap_px", overlap_px)):
        if value % VAE_FACTOR:
            fixed = max(VAE_FACTOR * round(value / VAE_FACTOR), VAE_FACTOR)
            raise ValueError(f"{name} must be a multiple of {VAE_FACTOR}, got {value}; try {fixed}")
    if not 0 < overlap_px < window_px:
        raise ValueError(f"overlap_px must lie between {VAE_FACTOR} and {window_px - VAE_FACTOR}, got {overlap_px}")
    return window_px - overlap_px


def _parse_part(text: str) -> Part:
    name, colon, number = text.partition(":")
    if name == "to":
        width, _, height = number.partition("x")
        return Rectangle(*(_positive(side, "width and height", "to:2048x512", text) for side in (width, height)))
    if name == "loop":
        return Ring(_positive(number, "steps", "loop:16", text))
    check_direction(name)
    return Strips(name, _positive(number if colon else "1", "steps", "right:8", text))  # type: ignore[arg-type]


def _positive(text: str, what: str, form: str, given: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"{what} must be a positive whole number each, as in {form}, got {given!r}")
    return int(text)


def _parse_list(text: str, where: str) -> Plan:
    try:
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date, but is none.
        raise ValueError(f"{where} must be YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueError(f"{where} must be YAML, but it is nested too deeply") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{where} must be a list of steps, got {type(entries).__name__}; begin each with '- '")
    parts: list[Part] = []
    for number, entry in enumerate(entries, 1):
        try:
            parts += parse_plan(entry).parts if isinstance(entry, str) else [_parse_entry(entry)]
        except ValueError as error:
            raise ValueError(f"{where}, entry {number}: {error}") from error
    return Plan(tuple(parts))


def _parse_entry(entry: Any) -> Listed:
    known = set(Listed.__dataclass_fields__)
    if not isinstance(entry, dict) or not set(entry) <= known:
        got = ", ".join(map(str, sorted(set(entry) - known, key=str))) if isinstance(entry, dict) else repr(entry)
        raise ValueError(f"a step is a text such as right:8 or a map with {', '.join(sorted(known))}, got {got}")
    window, times, caption = entry.get("window"), entry.get("times", 1), entry.get("caption", "")
    if window is not None and not (
        isinstance(window, list) and len(window) == 2 and all(type(edge) is int for edge in window)
    ):
        raise ValueError(f"window must be two whole numbers, [x, y], got {window!r}")
    if type(times) is not int or not isinstance(caption, str):
        raise ValueError(f"times must be a whole number and caption a text, got {times!r} and {caption!r}")
    if "direction" in entry:
        check_direction(entry["direction"])
    return Listed(
        direction=entry.get("direction"),
        times=times,
        window=None if window is None else (window[0], window[1]),
        caption=clean(caption) if caption else "",
    )


def _as_entry(part: Part) -> str | dict[str, Any]:
    """What `_parse_list` reads back, without fields that are left at their defaults."""
    if not isinstance(part, Listed):
        return str(part)
    default = {"direction": None, "times": 1, "window": None, "caption": ""}
    return {name: value for name, value in asdict(part).items() if value != default[name]}
