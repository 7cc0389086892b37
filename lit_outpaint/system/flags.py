"""The flag that somebody meant who typed one that a parser does not have."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import Final

_UNKNOWN: Final = re.compile(r"unrecognized arguments: (--[\w.-]+)")


def with_nearest(message: str, parser: argparse.ArgumentParser) -> str:
    """The message of a parser; where it is about an unknown flag, with the nearest one that the parser has.

    A flag of the same last word goes before one that is spelled alike: ``--sampling.seed`` for ``--seed``.
    """
    unknown = _UNKNOWN.search(message)
    if unknown is None:
        return message
    flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    word = unknown[1].removeprefix("--").rpartition(".")[2]
    near = [flag for flag in flags if flag.rpartition(".")[2] == word]
    near = near or difflib.get_close_matches(unknown[1], flags, n=1, cutoff=0.8)
    return f"{message}; there is {near[0]}" if near else message
