"""Reads captions out of what a language model wrote, whatever it wrote.

Forgiven are text and code fences around the JSON, what json-repair mends (a trailing or missing comma, single or no
quotes, quotes inside of quotes, comments), a lone object inside a list, and an end that the limit on tokens cut off
behind whole clauses. Everything else is a fault, said in one line so that the model can be asked to mend it. What comes
out is clean: one line, printable, encodable, without quotes around it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.system.text import clean, encoded

MAX_READ_CHARS: Final = 20_000
"""A longer answer is no list of captions."""
_MAX_TRIES: Final = 32
# The time of json-repair grows with the square of the length, and faster with the depth.
_MAX_MENDED_CHARS: Final = 6000
_MAX_DEPTH: Final = 16
_MAX_MENDED: Final = 4
_MAX_CUT: Final = 4
_CLAUSE_END: Final = re.compile(r"[,;.:!?](?=\s)")
_LEAST_CUT_WORDS: Final = 3
_DECODER: Final = json.JSONDecoder(strict=False)  # A raw line break in a string is forgiven.


class AnswerFault(ValueError):
    """An answer cannot be used; the message says why in one line."""


class CutShort(AnswerFault):
    """An answer ends inside of its JSON.

    Args:
        text: from the beginning of the JSON on.
    """

    def __init__(self, text: str) -> None:
        super().__init__("its JSON is cut short")
        self.text = text


def read_texts(text: str, answer: type[CaptionAnswer | CaptionsAnswer]) -> list[str]:
    """The captions of the first JSON value in ``text`` that is an answer; at least one.

    Args:
        text: the model's answer without its thoughts.
        answer: its form.

    Raises:
        AnswerFault: there is none.
    """
    if not text.strip():
        raise AnswerFault("it is empty")
    if len(text) > MAX_READ_CHARS:
        raise AnswerFault(f"it is longer than {MAX_READ_CHARS} characters")
    fault: AnswerFault | None = None
    try:
        for value in json_values(text):
            try:
                return _texts(value, answer)
            except AnswerFault as error:
                fault = error
    except CutShort as cut:
        return _salvaged(cut, fault or cut, answer)
    except AnswerFault as error:
        fault = fault or error
    except (RecursionError, MemoryError):
        raise AnswerFault("its JSON is nested too deeply") from None
    raise fault or AnswerFault("it holds no JSON object")


def _salvaged(cut: CutShort, fault: AnswerFault, answer: type[CaptionAnswer | CaptionsAnswer]) -> list[str]:
    """The whole captions of an answer that was cut short, and the whole clauses of the last one.

    Raises:
        AnswerFault: ``fault``, when there are none.
    """
    text, span = cut.text, _span(cut.text, '"')
    if span.depth > _MAX_DEPTH:
        raise fault
    open_string = span.open_string
    if open_string is not None:
        begun = text[open_string + 1 :]
        ends = [match.start() for match in _CLAUSE_END.finditer(begun)]
        kept = begun[: ends[-1]] if ends else ""
        text = text[:open_string] + (f'"{kept}"' if len(kept.split()) >= _LEAST_CUT_WORDS else "")
    try:
        return _texts(encoded(_mended(text)), answer)
    except (ValueError, RecursionError):
        raise fault from None


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


def json_values(text: str) -> Iterator[Any]:
    """The outermost JSON objects and lists of a text, in order; small faults in them are mended.

    Raises:
        CutShort: after the last, when one was begun and not ended.
        AnswerFault: after the last, when one cannot be mended.
        RecursionError: one is nested too deeply.
    """
    position, cuts, mends = 0, 0, 0
    fault: AnswerFault | None = None
    for _ in range(_MAX_TRIES):
        start = next((place for place in range(position, len(text)) if text[place] in "{["), None)
        if start is None:
            break
        try:
            value, position = _DECODER.raw_decode(text, start)
        except ValueError:
            # An apostrophe that is no quote can hide the end.
            span = next((span for quotes in ("\"'", '"') if (span := _span(text, quotes, start)).end), None)
            if span is None or span.end is None:
                fault, position, cuts = fault or CutShort(text[start:]), start + 1, cuts + 1
                if cuts == _MAX_CUT:
                    break
                continue
            mends += 1
            try:
                if mends > _MAX_MENDED:
                    raise ValueError("it would take too long")
                value, position = _mended(text[start : span.end]), span.end
            except ValueError:
                fault, position = AnswerFault("it is no valid JSON"), start + 1
                continue
        yield encoded(value)
    if fault:
        raise fault


def _mended(text: str) -> Any:
    """A JSON object or list with something in it.

    Raises:
        ValueError: there is none, or it is too long to look for.
    """
    if len(text) > _MAX_MENDED_CHARS:
        raise ValueError("it is too long to be mended")
    import json_repair  # Seldom needed, and it takes its time to load.

    try:
        value = json_repair.loads(text)
    except Exception as error:  # Whatever it stumbles over is no answer.
        raise ValueError("it cannot be mended") from error
    if not isinstance(value, dict | list) or not value:
        raise ValueError("neither an object nor a list")
    return value


class _Span(NamedTuple):
    """A bracketed stretch of text."""

    end: int | None
    """Where it ends; None where it does not, or is nested deeper than is looked at."""
    open_string: int | None
    """Where the string begins that the text ends inside of."""
    depth: int
    """Most brackets that are open at once."""


def _span(text: str, quotes: str, start: int = 0) -> _Span:
    """The stretch from the bracket at ``start`` on.

    Args:
        text: the answer.
        quotes: what opens and closes a string.
        start: where the bracket stands.
    """
    open_brackets, deepest, quote, opened, escaped = 0, 0, "", 0, False
    for place in range(start, len(text)):
        letter = text[place]
        if quote:
            closes = letter == quote and not escaped
            escaped = letter == "\\" and not escaped
            quote = "" if closes else quote
        elif letter in quotes:
            quote, opened = letter, place
        elif letter in "{[":
            open_brackets += 1
            deepest = max(deepest, open_brackets)
            if deepest > _MAX_DEPTH:
                break
        elif letter in "}]":
            open_brackets -= 1
        if not quote and open_brackets == 0:
            return _Span(place + 1, None, deepest)
    return _Span(None, opened if quote else None, deepest)
