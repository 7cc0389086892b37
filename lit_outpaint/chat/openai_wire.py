"""The OpenAI chat protocol as it is spoken by many servers: bodies of requests, and what comes back.

Servers differ in what they take. A `Dialect` says how much of the protocol is used, and `Dialect.simpler` gives the
next one to try when a server blames a part of it. Pure functions; ``OpenAIChat`` does the talking.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from lit_outpaint.chat.pictures import data_url, shown
from lit_outpaint.chat.requests import ChatReply, ChatRequest, Message, picture_turn

AnswerForm = Literal["json_schema", "json_object", "none"]
"""How the server is told the form of the answer: by its schema, as any JSON object, or only in words."""

_SIMPLER_FORM: Final[dict[AnswerForm, AnswerForm]] = {"json_schema": "json_object", "json_object": "none"}
_FORM_WORDS: Final = ("response_format", "json_schema", "json_object", "structured output", "guided", "grammar")
_DROPPED: Final = frozenset({"title", "default", "description", "minLength", "maxLength", "pattern"})
_CHARS_PER_TOKEN: Final = 4


class AnswerError(ValueError):
    """What came back is no chat answer."""


@dataclass(frozen=True)
class Dialect:
    """How much of the protocol a server takes."""

    form: AnswerForm
    limit_word: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Most servers know the first, OpenAI's later models the second alone."""

    def simpler(self, blame: str, *, form_is_open: bool) -> Dialect | None:
        """The dialect to try after a refusal.

        Args:
            blame: what the server said.
            form_is_open: whether the form of the answer may be given up.

        Returns:
            None when the server does not blame what a simpler dialect would change.
        """
        blame = blame.lower()
        if self.limit_word == "max_tokens" and "max_completion_tokens" in blame:
            return replace(self, limit_word="max_completion_tokens")
        if form_is_open and self.form in _SIMPLER_FORM and any(word in blame for word in _FORM_WORDS):
            return replace(self, form=_SIMPLER_FORM[self.form])
        return None


def request_body(request: ChatRequest, dialect: Dialect, image_px: int) -> dict[str, Any]:
    """The request without model and sampling settings.

    Args:
        request: what is asked.
        dialect: what the server takes.
        image_px: longest side of a picture.
    """
    body: dict[str, Any] = {"messages": _messages(request, image_px), dialect.limit_word: request.max_tokens}
    if dialect.form == "json_schema":
        schema = {"name": "answer", "schema": strict_schema(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.form == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def strict_schema(schema: Any) -> Any:
    """A schema as strict servers want it: no further keys, and no word about the content of strings.

    Strict decoding refuses schemas with words it does not know. Nothing is lost: answers are checked against the full
    schema when they come.
    """
    if isinstance(schema, list):
        return [strict_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for word, value in schema.items():
        if word in ("properties", "$defs"):  # Names of fields are no words of the schema.
            kept[word] = {name: strict_schema(part) for name, part in value.items()}
        elif word not in _DROPPED:
            kept[word] = strict_schema(value)
    if kept.get("type") == "object":
        kept |= {"additionalProperties": False, "required": list(kept.get("properties", {}))}
    return kept


def read_reply(raw: bytes, asked: Sequence[Message]) -> ChatReply:
    """Read the body of an answer.

    Args:
        raw: the body.
        asked: the conversation; its length stands in for a count of tokens that the server does not give (four
            characters a token).

    Raises:
        AnswerError: it is no JSON, or none of a chat answer.
    """
    try:
        answer = json.loads(raw)
        message = answer["choices"][0]["message"]
        text = message.get("content") or ""  # None when the model refuses to answer: an empty text, checked above.
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise AnswerError(f"the answer is no chat completion: {raw[:80]!r}") from error
    if not isinstance(text, str):
        raise AnswerError(f"the content of the answer must be a text, got {type(text).__name__}")
    usage = answer.get("usage")
    return ChatReply(
        text=text,
        prompt_tokens=_count(usage, "prompt_tokens", sum(len(message.text) for message in asked)),
        completion_tokens=_count(usage, "completion_tokens", len(text)),
    )


def _count(usage: Any, name: str, chars: int) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count >= 0 else -(-chars // _CHARS_PER_TOKEN)


def _messages(request: ChatRequest, image_px: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": turn.role, "content": turn.text} for turn in request.messages]
    if request.image is not None:
        asking = messages[picture_turn([message["role"] for message in messages], request.num_examples)]
        url = data_url(shown(request.image, image_px))
        asking["content"] = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": asking["content"]},
        ]
    return messages
