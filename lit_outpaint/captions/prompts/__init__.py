"""The prompts: ``NAME.vN.txt`` beside this file, listed by ``prompt_names`` and filled by ``load_prompt(name).fill``.

A file holds the system turn and then turns of user and assistant, with a line ``---`` between two of them; the last is
the user's. Those before it are examples: small models need a few, as turns of their own. In the last turn ``{word}``
stands for an argument; a prompt may leave arguments out. Arguments are put in as JSON, so that a caption is always a
quoted string and never an instruction. A prompt that is changed becomes a new version beside the old one: texts in
shards and caches name the version that they were written with. A prompt of a user's own is named by the path of its
file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lit_outpaint.chat.requests import Message

_HERE = Path(__file__).parent
_FIELD = re.compile(r"\{([a-z_]+)\}")
_BETWEEN_TURNS = re.compile(r"^---[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Prompt:
    """A template and the checksum of its text."""

    name: str
    """With its version, for example ``imagine.v1``; the path of a user's own."""
    turns: tuple[Message, ...]
    """The system turn unless it is empty, example turns, and the user's turn with the fields."""
    sha256: str

    @property
    def fields(self) -> frozenset[str]:
        """Names of the arguments that it tells."""
        return frozenset(_FIELD.findall(self.turns[-1].text))

    @property
    def examples(self) -> tuple[Message, ...]:
        """The turns between the system turn and the question."""
        return tuple(turn for turn in self.turns[:-1] if turn.role != "system")

    def fill(self, **arguments: Any) -> tuple[Message, ...]:
        """The turns up to the question.

        Args:
            arguments: one JSON value for each field; others are left out.

        Raises:
            ValueError: an argument is missing.
        """
        missing = self.fields - arguments.keys()
        if missing:
            raise ValueError(f"prompt {self.name} takes {sorted(self.fields)}, got {sorted(arguments)}")
        text = _FIELD.sub(lambda match: json.dumps(arguments[match[1]], ensure_ascii=False), self.turns[-1].text)
        return (*self.turns[:-1], Message("user", text))


def prompt_names(folder: Path = _HERE) -> list[str]:
    """All prompts of a folder, by name and version; those of captions when none is given."""
    return sorted(path.name.removesuffix(".txt") for path in folder.glob("*.txt"))


@lru_cache
def load_prompt(name: str, folder: Path = _HERE, known: Collection[str] | None = None) -> Prompt:
    """Read a prompt, once in a process.

    Args:
        name: of a prompt of the folder, or the path of a file of the same form that ends in ``.txt``.
        folder: where prompts with a name lie.
        known: names of the arguments that there are; any when absent.

    Raises:
        ValueError: there is none, its file does not end with a turn of the user, or it has a field that no argument
            fills.
    """
    path = folder / f"{name}.txt"
    if name not in prompt_names(folder):
        path = Path(name)
        if path.suffix != ".txt":
            names = ", ".join(prompt_names(folder))
            raise ValueError(f"a prompt must be one of {names}, or the path of a .txt file, got {name!r}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the prompt {name} cannot be read: {error}") from error
    prompt = Prompt(name, _turns(name, text), hashlib.sha256(text.encode()).hexdigest())
    if known is not None and not prompt.fields <= set(known):
        raise ValueError(
            f"prompt {name} may have the fields {', '.join(sorted(known))}; nothing fills "
            f"{', '.join(sorted(prompt.fields - set(known)))}"
        )
    return prompt


def _turns(name: str, text: str) -> tuple[Message, ...]:
    system, *rest = (part.strip() for part in _BETWEEN_TURNS.split(text))
    if len(rest) % 2 == 0:
        raise ValueError(
            f"prompt {name} must hold the system turn and then turns of user and assistant, the last of the user, with "
            f"a line '---' between two of them; got {len(rest) + 1} turns"
        )
    if not all(rest):
        raise ValueError(f"prompt {name} holds an empty turn; only that of the system may be empty")
    said = [Message("assistant" if number % 2 else "user", part) for number, part in enumerate(rest)]
    return (*([Message("system", system)] if system else []), *said)
