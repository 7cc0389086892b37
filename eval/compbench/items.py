"""A prompt as it is scored, wherever it comes from."""

from dataclasses import dataclass
from typing import NamedTuple


class Question(NamedTuple):
    """A statement of a prompt, put to a model that answers questions about pictures."""

    text: str
    answer: str
    """What a picture that follows the prompt makes the model say."""
    skill: str
    """What it asks for: an object, a colour, a count, a noun phrase, ..."""
    parents: tuple[int, ...] = ()
    """Questions of the same prompt, by index, without which this one means nothing."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A prompt: what it is called, what it says, and of what kind its statements are."""

    key: str
    category: str
    text: str
    skills: tuple[str, ...] = ()
    """Of every statement; empty where there are none to answer."""
    pair: str | None = None
    """Shared by two prompts that no one picture satisfies both."""
    questions: tuple[Question, ...] = ()
    """The statements for a model that answers questions; empty where the probe answers."""
    inputs: str = ""
    """Checksum of the prompt with all its statements, by which runs can be paired."""


class Scored(NamedTuple):
    """What a judge says about the pictures of a prompt."""

    item: Item
    scores: tuple[tuple[float, ...], ...]
    """How far each statement holds, in [0, 1]: a row for each picture; none where no statement is judged."""
    clip_sim: float | None = None
    """Cosine of picture and prompt by the evaluation CLIP, the mean over pictures."""
