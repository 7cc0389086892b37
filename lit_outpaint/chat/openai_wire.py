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
from lit_outpaint.chat.requests import ChatReply, ChatRequest, Ended, Message, picture_turn
from lit_outpaint.chat.thoughts import final_answer

AnswerForm = Literal["json_schema", "json_object", "none"]
"""How the server is told the form of the answer: by its schema, as any JSON object, or only in words."""

_SIMPLER_FORM: Final[dict[AnswerForm, AnswerForm]] = {"json_schema": "json_object", "json_object": "none"}
_FORM_WORDS: Final = ("response_format", "schema", "json_object", "structured output", "guided", "grammar")
_SYSTEM_WORDS: Final = ("system role", "system message", "system prompt", "roles must alternate", "role 'system'")
_THOUGHT_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")
"""Names under which servers hand over thoughts beside the content."""
_ENDS: Final[dict[str, Ended]] = {
    "length": "length",
    "content_filter": "refusal",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
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
    system_turn: bool = True
    """Whether the chat template behind it takes one; its text goes before the user's where it does not."""

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
        if self.system_turn and any(word in blame for word in _SYSTEM_WORDS):
            return replace(self, system_turn=False)
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
    turns = request.messages if dialect.system_turn else without_system(request.messages)
    body: dict[str, Any] = {
        "messages": _messages(turns, request, image_px),
        dialect.limit_word: request.max_tokens,
    }
    if dialect.form == "json_schema":
        schema = {"name": "answer", "schema": strict_schema(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.form == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def without_system(turns: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation for a chat template that knows no system turn: its text goes before the user's."""
    if len(turns) < 2 or turns[0].role != "system":
        return tuple(turns)
    system, user, *rest = turns
    return (Message("user", f"{system.text}\n\n{user.text}"), *rest)


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
        choice = answer["choices"][0]
        message = choice["message"]
        content, refused = _content(message.get("content"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise AnswerError(f"the answer is no chat completion: {raw[:80]!r}") from error
    text = content or _whole_json(message)
    ended = _ENDS.get(_word(choice.get("finish_reason")), "stop")
    if not text.strip() and ended == "stop":
        refused = refused or bool(message.get("refusal"))
        called = bool(message.get("tool_calls") or message.get("function_call"))
        ended = "refusal" if refused else "tool_calls" if called else "stop"
    usage = answer.get("usage")
    return ChatReply(
        text=text,
        prompt_tokens=_count(usage, "prompt_tokens", sum(len(message.text) for message in asked)),
        completion_tokens=_count(usage, "completion_tokens", len(text)),
        ended=ended,
    )


def keeps_form(reply: ChatReply, schema: dict[str, Any]) -> bool:
    """Whether an answer is what a server makes that holds a model to a schema; true where that cannot be told."""
    text = final_answer(reply.text).strip()
    if reply.ended != "stop" or not text:
        return True
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() >= set(schema.get("required", ()))


def _content(content: Any) -> tuple[str, bool]:
    """The text of a message's content, and whether it is a refusal: None, a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", False
    if not isinstance(content, list):
        raise TypeError(f"the content of an answer must be a text or a list of parts, got {type(content).__name__}")
    parts = [part if isinstance(part, dict) else {"text": part} for part in content]
    # Parts of thoughts have types of their own.
    texts = [part.get("text") for part in parts if part.get("type", "text") in ("text", "output_text")]
    return "".join(text for text in texts if isinstance(text, str)), any(part.get("refusal") for part in parts)


def _whole_json(message: dict[str, Any]) -> str:
    """The answer that some servers take for thoughts when they hold the model to a schema; empty where it is none.

    Only a JSON object that is the whole of the thoughts counts: what stands inside of others is a draft.
    """
    for name in _THOUGHT_FIELDS:
        thoughts = message.get(name)
        if isinstance(thoughts, str) and thoughts.strip().startswith("{"):
            try:
                json.loads(thoughts)
            except (ValueError, RecursionError):
                continue
            return thoughts
    return ""


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(usage: Any, name: str, chars: int) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count >= 0 else -(-chars // _CHARS_PER_TOKEN)


def _messages(turns: Sequence[Message], request: ChatRequest, image_px: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": turn.role, "content": turn.text} for turn in turns]
    if request.image is not None:
        asking = messages[picture_turn([turn.role for turn in turns], request.num_examples)]
        url = data_url(shown(request.image, image_px))
        asking["content"] = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": asking["content"]},
        ]
    return messages
