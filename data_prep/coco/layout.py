"""The captions file of MS-COCO, ``annotations/captions_SPLIT.json``: images with their captions and licences.

Format (https://cocodataset.org/#format-data): an object with ``images`` (id, file_name, width, height, license),
``annotations`` (id, image_id, caption) and ``licenses`` (id, name, url). Entries that do not fit are counted by cause.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from data_prep.source import LEFT_OUT, NOTED
from lit_outpaint.system.text import encodable

UNKNOWN_LICENCE: Final = "unknown"
MAX_DIGITS: Final = 12
"""Of an id, as they fit into the key of a sample."""
MAX_CAPTION_CHARS: Final = 2000
"""Longer texts are no captions; a text encoder reads a few hundred characters."""


@dataclass(frozen=True)
class CocoImage:
    """One image that has captions."""

    id: int
    file_name: str
    """As the annotation file says; not trusted."""
    licence: str
    captions: tuple[str, ...]
    """At least one; each holds a letter."""


def parse_captions(data: bytes, name: str) -> tuple[list[CocoImage], Counter[str], list[str]]:
    """Read a captions file.

    Args:
        data: its bytes.
        name: of the file, for messages.

    Returns:
        The images by number, how many images or captions were left out, by cause, and a line for each such image.

    Raises:
        ValueError: it is no captions file.
    """
    try:
        content = json.loads(data)
        tables = {key: content[key] for key in ("images", "annotations")}
        if not all(isinstance(table, list) for table in tables.values()):
            raise TypeError("images and annotations must be lists")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{name} must be a captions file in the COCO format: {problem}; download it again") from error
    counts: Counter[str] = Counter()
    named = content.get("licenses")  # Left out or null in sets of other people.
    licences: dict[int | None, str] = {
        number: licence
        for row in (named if isinstance(named, list) else [])
        if (licence := _licence(row)) and (number := _number(row["id"])) is not None
    }
    left_out: list[str] = []
    rows = _images(tables["images"], counts, left_out, name)
    captions = _captions(tables["annotations"], rows, counts)
    images = []
    for number in sorted(rows):
        if number not in captions:
            counts[f"{LEFT_OUT}no_caption"] += 1
            left_out.append(f"the image {rows[number]['file_name']} of {name} has no caption")
            continue
        licence = licences.get(_number(rows[number].get("license")), UNKNOWN_LICENCE)
        counts[f"{NOTED}unknown_licence"] += licence == UNKNOWN_LICENCE
        images.append(CocoImage(number, rows[number]["file_name"], licence, tuple(captions[number])))
    return images, +counts, left_out


def _images(table: list[Any], counts: Counter[str], left_out: list[str], name: str) -> dict[int, dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for place, row in enumerate(table):
        number = _number(row.get("id")) if isinstance(row, dict) else None
        if number is None or not isinstance(row.get("file_name"), str):
            counts[f"{LEFT_OUT}malformed_entry"] += 1
            left_out.append(f"images[{place}] of {name} is malformed: it needs an id and a file_name")
        elif number in rows:
            counts[f"{LEFT_OUT}duplicate_id"] += 1
            left_out.append(f"images[{place}] of {name} has the id {number} of an image before it")
        else:
            rows[number] = row
    return rows


def _captions(table: list[Any], rows: dict[int, Any], counts: Counter[str]) -> dict[int, list[str]]:
    """Captions by image, in the order of the file, each once."""
    captions: dict[int, list[str]] = {}
    seen: set[tuple[int, int]] = set()
    for row in table:
        image = _number(row.get("image_id")) if isinstance(row, dict) else None
        if image is None or not isinstance(row.get("caption"), str):
            counts[f"{NOTED}malformed_caption"] += 1
            continue
        # Some programs number the captions of each image anew.
        if (number := _number(row.get("id"))) is not None:
            if (image, number) in seen:
                counts[f"{NOTED}duplicate_caption"] += 1
                continue
            seen.add((image, number))
        text = " ".join(encodable(row["caption"]).split())
        if image not in rows:
            counts[f"{NOTED}caption_of_no_image"] += 1
        elif not any(letter.isalpha() for letter in text):
            counts[f"{NOTED}caption_without_letters"] += 1
        elif len(text) > MAX_CAPTION_CHARS:
            counts[f"{NOTED}caption_too_long"] += 1
        else:
            captions.setdefault(image, []).append(text)
    return captions


def _licence(row: Any) -> str:
    """Name and address of a licence; empty when the row names none."""
    if not (isinstance(row, dict) and isinstance(row.get("id"), int | str) and isinstance(row.get("name"), str)):
        return ""
    url = row.get("url")
    return encodable(f"{row['name']} ({url})" if isinstance(url, str) and url else str(row["name"]))


def _number(value: Any) -> int | None:
    """An id as a number, also where a program wrote it as a text or as a float; None for what is none."""
    as_text = isinstance(value, str) and value.isdecimal() and len(value) <= MAX_DIGITS
    if as_text or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_DIGITS else None
