"""Text on its way in: every caption, wherever it comes from, becomes one clean line."""

from __future__ import annotations

import re
from typing import Any, Final

# Control characters, halves of surrogate pairs (which no encoding can write), byte order marks and what is no
# character at all.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def encodable(text: str) -> str:
    """The text with a space in place of every character that cannot be written, printed or seen."""
    return _UNWRITABLE.sub(" ", text)


def encoded(value: Any) -> Any:
    """A JSON value whose texts can be written: see `encodable`."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [encoded(item) for item in value]
    if isinstance(value, dict):
        return {encodable(name): encoded(item) for name, item in value.items()}
    return value


def clean(caption: str) -> str:
    """Return the caption on one line, without quotes, surrounding space, closing stops and what cannot be written.

    Raises:
        ValueError: the caption holds no word.
    """
    text = " ".join(encodable(caption).split()).strip(" \"'.;:,!")
    if not any(character.isalnum() for character in text):
        raise ValueError(f"a caption must hold at least one word, got {caption!r}; say what the picture shows")
    return text
