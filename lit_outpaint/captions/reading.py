"""Reads captions out of what a language model wrote, whatever it wrote.

Forgiven are text and code fences around the JSON, a trailing comma, single quotes, and a lone object inside a list.
Everything else is a fault, said in one line so that the model can be asked to mend it. What comes out is clean: one
line, printable, encodable, without quotes around it.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.system.text import clean

MAX_READ_CHARS = 20_000
"""A longer answer is no list of captions."""
_MAX_TRIES = 32
_THOUGHTS = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)  # A raw line break in a string is forgiven.


class AnswerFault(ValueError):
    """An answer cannot be used; the message says why in one line."""


def read_texts(text: str, answer: type[CaptionAnswer | CaptionsAnswer]) -> list[str]:
    """The captions of the first JSON value in ``text`` that is an answer; at least one.

    A reasoning model's thoughts, up to their closing mark, are not looked at.

    Raises:
        AnswerFault: there is none.
    """
    if not text.strip():
        raise AnswerFault("it is empty")
    if len(text) > MAX_READ_CHARS:
        raise AnswerFault(f"it is longer than {MAX_READ_CHARS} characters")
    fault = AnswerFault("it holds no JSON object")
    try:
        for value in json_values(without_thoughts(text)):
            try:
                return _texts(value, answer)
            except AnswerFault as error:
                fault = error
    except AnswerFault as error:
        raise error if str(fault) == "it holds no JSON object" else fault from None
    except (RecursionError, MemoryError):
        raise AnswerFault("its JSON is nested too deeply") from None
    raise fault


def _texts(value: Any, answer: type[CaptionAnswer | CaptionsAnswer]) -> list[str]:
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    try:
        found = answer.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the answer"
        raise AnswerFault(f"{where}: {problem['msg']}") from None
    captions = found.captions if isinstance(found, CaptionsAnswer) else [found.caption]
    texts = ["".join(letter if letter.isprintable() else " " for letter in caption) for caption in captions]
    worded = [clean(text) for text in texts if any(map(str.isalnum, text))]
    if not worded:
        raise AnswerFault("its caption holds no word")
    return worded


def without_thoughts(text: str) -> str:
    """The text after a reasoning model's thoughts, up to their closing mark."""
    return _THOUGHTS.sub("", text)


def json_values(text: str) -> Iterator[Any]:
    """The outermost JSON objects and lists of a text, in order.

    Raises:
        AnswerFault: after the last, when one was begun and not ended.
        RecursionError: one is nested too deeply.
    """
    position, fault = 0, ""
    for _ in range(_MAX_TRIES):
        start = next((place for place in range(position, len(text)) if text[place] in "{["), None)
        if start is None:
            break
        try:
            value, position = _DECODER.raw_decode(text, start)
        except ValueError:
            span = _balanced(text, start)
            if span is None:
                fault, position = fault or "its JSON is cut short", start + 1
                continue
            mended, position = span
            try:
                value = _mended(mended)
            except ValueError:
                fault, position = "it is no valid JSON", start + 1
                continue
        yield value
    if fault:
        raise AnswerFault(fault)


def _mended(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except ValueError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Escapes that Python does not know.
            try:
                return ast.literal_eval(text)
            except (SyntaxError, TypeError) as error:
                raise ValueError("neither JSON nor quoted by single quotes") from error


def _balanced(text: str, start: int) -> tuple[str, int] | None:
    """The bracketed stretch from ``start`` without its trailing commas, and where it ends; None if it does not."""
    kept: list[str] = []
    depth, quote, escaped = 0, "", False
    for place in range(start, len(text)):
        letter = text[place]
        if quote:
            closes = letter == quote and not escaped
            escaped = letter == "\\" and not escaped
            quote = "" if closes else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "{[":
            depth += 1
        elif letter in "}]":
            depth -= 1
            _drop_comma(kept)
        kept.append(letter)
        if depth == 0:
            return "".join(kept), place + 1
    return None


def _drop_comma(kept: list[str]) -> None:
    last = next((i for i in range(len(kept) - 1, -1, -1) if not kept[i].isspace()), None)
    if last is not None and kept[last] == ",":
        del kept[last]
