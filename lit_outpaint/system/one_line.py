"""Errors for people: one line, with what they gave and without the parser's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_CHARS: Final = 400

# jsonargparse wraps what a part that may be absent says of its settings in a list of all types that it tried.
_WRAPPED: Final = re.compile(
    r"Does not validate against any of the Union subtypes Subtypes: \[.*?\] Errors: - (?P<said>.*?) - Expected a "
    r"<class 'NoneType'>.*"
)


def one_line(error: BaseException) -> str:
    """The message of an error on one line of bounded length."""
    text = _WRAPPED.sub(lambda match: match["said"], " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 3] + "..."


@contextmanager
def refused_in_one_line(what: str, mend: str) -> Iterator[None]:
    """Run a library's loader of files that a user names, whose faults come as exceptions of any class.

    Args:
        what: is loaded, as in ``unet of models/scapes``.
        mend: what to do about it.

    Raises:
        ValueError: the loader failed; says what and why on one line.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what} cannot be loaded: {one_line(error)}; {mend}") from error
