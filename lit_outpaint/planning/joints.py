"""Whether a connector parts two noun phrases or stands inside one: "black and white", "a man with a hat"."""

from __future__ import annotations

import re
from typing import Final

from lit_outpaint.planning.attributes import is_attribute, may_name
from lit_outpaint.planning.connectors import Connector, connectors
from lit_outpaint.planning.phrases import (
    ADJECTIVE,
    DETERMINER,
    is_backdrop,
    is_name,
    is_part,
    is_scenery,
    names_nothing,
)
from lit_outpaint.planning.references import parted_pronoun

_AROUND: Final = " -'\"()[]{}<>,"
_LEAD: Final = re.compile(
    r"^(?:an?|the|this)?\s*(?:[\w'-]+\s+){0,3}?"
    r"(?:photo(?:graph)?|picture|image|painting|drawing|illustration|sketch|watercolou?r|view|scene|shot|render(?:ing)?)\s+of\s+",
    re.IGNORECASE,
)
_TAIL: Final = re.compile(
    r"\s+(?:behind|above|below|overhead|nearby|too|also|there|away|far away|around|itself|that|which|who)$",
    re.IGNORECASE,
)
_RELATED_TO_IT: Final = re.compile(
    r"[^,.;]*?\b(?:(?:on|to|at) (?:its|their|his|her) (?:left|right)|"
    r"(?:above|below|over|under|of|to|beside|behind|between) (?:it|them)\b)",
    re.IGNORECASE,
)
_ENDS: Final = re.compile(r"\s*(?:$|[,.;:!?&]|and\b)", re.IGNORECASE)


def trimmed(phrase: str) -> str:
    """A noun phrase without what stands around it and says nothing of it.

    >>> trimmed("a photo of (a dog that"), trimmed(" painted red,")
    ('a dog', 'painted red')
    """
    return _TAIL.sub("", _LEAD.sub("", phrase.strip(_AROUND))).strip(_AROUND)


def stands_inside(connector: Connector, phrase: str, after: str, *, stated: bool, placed: bool) -> bool:
    """Whether a connector belongs to the phrase before it.

    Args:
        connector: any.
        phrase: what stands before it, back to the last one that parts phrases.
        after: all that follows.
        stated: "is" or the like stands before the phrase.
        placed: another thing of the sentence has a side of the picture.
    """
    kind, words = connector.kind, phrase.split()
    if not words or kind not in ("list", "with", "without", "place"):
        return False
    next_phrase = _next_phrase(after)
    if kind == "list":
        if DETERMINER.match(next_phrase) or not next_phrase:
            return False
        if stated and is_attribute(trimmed(phrase)):
            return is_attribute(trimmed(next_phrase))
        if len(words) == 1 and may_name(words[0]) and not is_attribute(next_phrase.split()[0]):
            return False  # "Apple, orange, banana", but "orange and blue balloons".
        return ADJECTIVE.fullmatch(words[-1]) is not None
    noun = _LEAD.sub("", phrase.strip())
    if names_nothing(noun) or is_scenery(noun) or not parted_pronoun(noun)[1]:
        return False
    if kind == "place":
        return not is_scenery(next_phrase) and not (connector.text.lower() == "by" and is_name(next_phrase))
    if is_backdrop(next_phrase):
        return False  # Mountains behind a house are no part of it.
    return kind == "without" or not (_RELATED_TO_IT.match(after) or _has_a_side(after, placed))


def _next_phrase(text: str) -> str:
    following = next(connectors(text), None)
    return text[: None if following is None else following.start].strip(_AROUND)


def _has_a_side(text: str, placed: bool) -> bool:
    """Whether what follows "with" is put to a side of what came before: "a house with a tree on the left"."""
    side = next(connectors(text), None)
    if side is None or is_part(text[: side.start]):
        return False
    rest = text[side.end :]
    if side.kind in ("above", "below", "beside"):
        return _ENDS.match(rest) is not None
    if side.kind != "position" or side.lane not in ("left", "right") or side.band or placed or " of " in side.text:
        return False
    # "A man with a dog on the left and a woman with a cat on the right" puts the man to the left.
    for other in connectors(rest):
        if other.kind in ("position", "stop"):
            break
        if other.kind == "with":
            return False
    return True
