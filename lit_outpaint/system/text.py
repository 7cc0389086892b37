"""Text on its way in: every caption, wherever it comes from, becomes one clean line."""

from __future__ import annotations


def clean(caption: str) -> str:
    """Return the caption on one line, without quotes, surrounding space and closing stops.

    Raises:
        ValueError: the caption holds no word.
    """
    text = " ".join(caption.split()).strip(" \"'.;:,!")
    if not any(character.isalnum() for character in text):
        raise ValueError(f"a caption must hold at least one word, got {caption!r}; say what the picture shows")
    return text
