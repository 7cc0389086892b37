"""The prompts: ``NAME.vN.txt`` beside this file, listed by ``prompt_names`` and filled by ``load_prompt(name).fill``.

A file holds the system turn, a line ``---``, and the user turn, where ``{word}`` stands for an argument. Arguments are
put in as JSON, so that a caption is always a quoted string and never an instruction. A prompt that is changed becomes a
new version beside the old one: texts in shards and caches name the version that they were written with.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lit_outpaint.chat.requests import Message

_HERE = Path(__file__).parent
_FIELD = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Prompt:
    """A template and the checksum of its text."""

    name: str
    """With its version, for example ``imagine.v1``."""
    system: str
    user: str
    sha256: str

    @property
    def fields(self) -> frozenset[str]:
        """Names of the arguments."""
        return frozenset(_FIELD.findall(self.user))

    def fill(self, **arguments: Any) -> tuple[Message, Message]:
        """The system and the user turn.

        Args:
            arguments: one JSON value for each field.

        Raises:
            ValueError: an argument is missing, or there is no place for it.
        """
        if arguments.keys() != self.fields:
            raise ValueError(f"prompt {self.name} takes {sorted(self.fields)}, got {sorted(arguments)}")
        user = _FIELD.sub(lambda match: json.dumps(arguments[match[1]], ensure_ascii=False), self.user)
        return Message("system", self.system), Message("user", user)


def prompt_names() -> list[str]:
    """All prompts, by name and version."""
    return sorted(path.name.removesuffix(".txt") for path in _HERE.glob("*.txt"))


@lru_cache
def load_prompt(name: str) -> Prompt:
    """Read a prompt.

    Raises:
        ValueError: there is none of this name, or its file lacks the line between its two turns.
    """
    if name not in prompt_names():
        raise ValueError(f"a prompt must be one of {', '.join(prompt_names())}, got {name!r}")
    text = (_HERE / f"{name}.txt").read_text(encoding="utf-8")
    system, line, user = text.partition("\n---\n")
    if not line:
        raise ValueError(f"prompt {name} must hold a line '---' between the system and the user turn")
    return Prompt(name, system.strip(), user.strip(), hashlib.sha256(text.encode()).hexdigest())
