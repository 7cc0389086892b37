"""One turn with a language model, whoever runs it: the request, the reply, and how a model says that it has none.

Everything above (prompts, checks, repair, cache, count) knows models through this file alone; everything that knows a
server or a library stands behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL.Image import Image

Cause = Literal["rate_limit", "server", "timeout", "connection", "refused", "too_long"]
"""Why a model gave no reply: too many requests, a fault of the server (5xx), no answer in time, no server, a request
that it will not take (other 4xx), or an answer longer than we read."""

Ended = Literal["stop", "length", "refusal", "tool_calls"]
"""How a reply came to its end: by itself, at the longest answer, because the model or a filter declined, or with a call
of a tool in place of an answer."""


class ChatError(RuntimeError):
    """A model gave no reply, after every retry that its cause allows.

    Args:
        cause: what kept it from replying.
        message: one line for people.
        retries: how often it was asked again.
    """

    def __init__(self, cause: Cause, message: str, retries: int = 0) -> None:
        super().__init__(message)
        self.cause, self.retries = cause, retries


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """What a model is asked."""

    messages: tuple[Message, ...]
    """The conversation; the last turn is the user's."""
    schema: dict[str, Any]
    """JSON schema of the answer, for models that can be held to one."""
    image: Image | None = None
    """Shown with the question, see ``picture_turn``."""
    max_tokens: int = 256
    """Longest answer, in tokens of the model."""
    num_examples: int = 0
    """How many turns before the question are examples."""
    draw: int = 0
    """Added to the seed of the model, so that the same question can have another answer."""


def picture_turn(roles: Sequence[str], num_examples: int) -> int:
    """Number of the turn that a picture goes with: the question, which is the first of the user behind the examples.

    >>> picture_turn(["system", "user", "assistant", "user", "assistant", "user"], 2)
    3
    >>> picture_turn(["user", "assistant", "user"], 2)
    2
    """
    return list(roles).index("user", num_examples)


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What it answered."""

    text: str
    """As it came, with the thoughts of models that write them down: nothing here is checked."""
    prompt_tokens: int
    completion_tokens: int
    retries: int = 0
    """How often it was asked before it replied."""
    ended: Ended = "stop"
    from_cache: bool = False
    """Whether it was not asked at all: the reply was kept from before."""


@runtime_checkable
class ChatModel(Protocol):
    """A language model; may be asked from ``concurrency`` threads at once."""

    name: str
    """Kind and model, for example ``openai:llava-1.6`` or ``local:scapes-lm``."""
    concurrency: int
    sees: bool
    """Whether it takes pictures; one that does not is never shown any."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What its answers depend on besides the request: sampling settings, revision of the weights; JSON values."""
        ...

    def reply(self, request: ChatRequest) -> ChatReply:
        """Answer.

        Raises:
            ChatError: it does not.
        """
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A chat model that can tell the length of a question without being asked it."""

    def count_prompt(self, request: ChatRequest) -> int:
        """Tokens of the conversation in the model's own form, pictures left out."""
        ...
