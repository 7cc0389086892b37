"""Words that stand for what was named before: "it", "them", "which", "the barn"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.mentions import Mention
from lit_outpaint.planning.phrases import DETERMINER, head

_PRONOUN: Final = re.compile(
    r"(?P<pronoun>it|them|him|her|that|this|these|those|each other|one another|the other|which|who|whom)"
    rf"(?:$|,?\s+(?={DETERMINER.pattern})(?P<rest>.*))",
    re.IGNORECASE | re.DOTALL,
)


def parted_pronoun(phrase: str) -> tuple[str, str]:
    """The pronoun that a phrase begins with, in lower case, and the noun phrase behind it; a pronoun stands alone.

    >>> parted_pronoun("it a blue tent"), parted_pronoun("them"), parted_pronoun("her child")
    (('it', 'a blue tent'), ('them', ''), ('', 'her child'))
    """
    match = _PRONOUN.fullmatch(phrase)
    return ("", phrase) if match is None else (match["pronoun"].lower(), match["rest"] or "")


def is_plural(pronoun: str) -> bool:
    """Whether a pronoun stands for several things.

    >>> is_plural("them"), is_plural("it")
    (True, False)
    """
    return pronoun in ("them", "these", "those", "each other", "one another")


def meant(pronoun: str, mentions: Sequence[Mention], things: Sequence[int]) -> tuple[int, ...]:
    """What a pronoun stands for: the latest of these things, and for "them" two where that one is single."""
    pair = is_plural(pronoun) and things and mentions[things[-1]].count == 1
    return tuple(things[-2:] if pair else things[-1:])


def mentioned(phrase: str, mentions: Sequence[Mention]) -> int | None:
    """The mention that "the barn" speaks of, None when it is new."""
    if not phrase.lower().startswith(("the ", "that ", "this ")):
        return None
    words = {singular_word(word) for word in phrase.lower().split()[1:]}
    for number in range(len(mentions) - 1, -1, -1):
        theirs = mentions[number].rest.lower()
        same = singular_word(head(theirs)) == singular_word(head(phrase))
        if same and words <= {singular_word(word) for word in theirs.split()}:
            return number
    return None
