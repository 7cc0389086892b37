"""What every command does first with its words and its output, so that no character can end it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Collection, Sequence

from lit_outpaint.system.text import encodable


def checked_words(words: Sequence[str]) -> list[str]:
    """The words of a command line; output no longer fails at characters that its encoding lacks, but escapes them.

    Raises:
        ValueError: a word holds bytes that are no text in the encoding of this machine, and names no file.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    for word in words:
        # Bytes that cannot be decoded come as halves of surrogate pairs; names of files may hold any.
        if any("\ud800" <= letter <= "\udfff" for letter in word) and not os.path.lexists(word.rpartition("=")[2]):
            raise ValueError(
                f"the command line must be text in {sys.getfilesystemencoding()}, got {encodable(word)!r} with bytes "
                "that are not; set LANG to the encoding of the terminal, such as C.UTF-8, or type it again"
            )
    return list(words)


def bracketed(words: Sequence[str], lists: Collection[str]) -> list[str]:
    """Lists as people type them, ``--steps 0,1``, as the parser reads them, ``--steps [0,1]``.

    Args:
        words: of a command line.
        lists: the flags that take lists.
    """
    result, flag = [], ""
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            word = f"{flag}={_bracketed(value)}" if equals and flag in lists else word
        elif flag in lists:
            word, flag = _bracketed(word), ""
        result.append(word)
    return result


def _bracketed(value: str) -> str:
    return value if value.startswith("[") else f"[{value}]"
