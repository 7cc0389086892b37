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


def prompt_names(folder: Path = _HERE) -> list[str]:
    """All prompts of a folder, by name and version; those of captions when none is given."""
    return sorted(path.name.removesuffix(".txt") for path in folder.glob("*.txt"))


@lru_cache
def load_prompt(name: str, folder: Path = _HERE) -> Prompt:
    """Read a prompt of a folder; one of captions when no folder is given.

    Raises:
        ValueError: there is none of this name, or its file lacks the line between its two turns.
    """
    if name not in prompt_names(folder):
        raise ValueError(f"a prompt must be one of {', '.join(prompt_names(folder))}, got {name!r}")
    text = (folder / f"{name}.txt").read_text(encoding="utf-8")
    system, line, user = text.partition("\n---\n")
    if not line:
        raise ValueError(f"prompt {name} must hold a line '---' between the system and the user turn")
    return Prompt(name, system.strip(), user.strip(), hashlib.sha256(text.encode()).hexdigest())
