"""Text files that people give: one way to read them, whatever editor or spreadsheet wrote them.

UTF-8, with or without a byte order mark, and UTF-16 and UTF-32 are read; only line feeds and carriage returns end a
line, so that a caption may hold U+2028 and its like. What cannot be read is one line that names file and line.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lit_outpaint.system.text import encoded

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # Begins like UTF-16's.
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED: Final = ("utf-16-le", "utf-16-be")
"""What a file without a mark is taken for where it holds bytes of zero."""
_LOOKED_AT_BYTES: Final = 1000


def read_text(path: Path, what: str) -> str:
    """Read a whole file; its lines end with a line feed.

    Args:
        path: the file.
        what: it is, for messages: ``--captions`` or ``the plan``.

    Raises:
        ValueError: it cannot be read, or is no text; the message names the file, and the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{what} must be a readable text file, got {path}: {error.strerror or error}") from error
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding in _GUESSED:
            raise ValueError(f"{what} must be a text file, and {path} is none") from error
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{what} must be UTF-8 text, but {path}:{line} holds bytes that are not {encoding.upper()} "
            f"({error.reason}); save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_lines(text: str) -> list[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank."""
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def json_value(text: str, where: str) -> Any:
    """The JSON value that a text is; its texts can be written, halves of surrogate pairs are left out.

    Args:
        text: JSON.
        where: it stands, for messages.

    Raises:
        ValueError: it is none.
    """
    try:
        return encoded(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} must be JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{where} must be JSON, but it is nested too deeply") from error


def json_lines(path: Path, what: str) -> Iterator[tuple[str, Any]]:
    """Where it stands (``FILE:LINE``) and value of each line that is not blank; see `read_text` and `json_value`."""
    for number, line in text_lines(read_text(path, what)):
        where = f"{path}:{number}"
        yield where, json_value(line, where)


def csv_rows(path: Path, what: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Where it begins (``FILE:LINE``) and the columns by name of each row; quoted texts may hold line breaks.

    Raises:
        ValueError: the file cannot be read, or a row has more or fewer columns than the first.
    """
    reader = csv.reader(io.StringIO(read_text(path, what), newline=""), strict=True)
    names: list[str] = []
    line = 1
    try:
        for row in reader:
            where, line = f"{path}:{line}", reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if not names:
                names = [name.strip() for name in row]
            elif len(row) != len(names):
                raise ValueError(
                    f"{where} must have {len(names)} columns as the first row, got {len(row)}; quote texts"
                )
            else:
                yield where, encoded(dict(zip(names, row, strict=True)))
    except csv.Error as error:
        raise ValueError(f"{path}:{line} is no row of a CSV file: {error}") from error


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:_LOOKED_AT_BYTES]
    if b"\0" not in head:
        return "utf-8"
    # UTF-16 without a mark: one byte of every Latin letter is zero.
    return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
