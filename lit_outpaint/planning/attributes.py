"""Adjectives and participles that stand apart from their noun: "the house is red", "a red and a blue balloon"."""

from __future__ import annotations

import re
from typing import Final

from lit_outpaint.planning.inflection import singular_word, with_article
from lit_outpaint.planning.phrases import ADJECTIVE, DETERMINER, PARTICIPLE, many_of, parted, split_count

_ADVERB: Final = r"(?:very|quite|so|really|mostly|all|also|still|now|\w{3,}ly)"
_DESCRIBING: Final = rf"(?:{_ADVERB}\s+)*(?:{ADJECTIVE.pattern}|{PARTICIPLE})"
_ALONE: Final = re.compile(
    # Words that describe, and nothing else: "painted red", "big and red"; perhaps with a part: "red with a roof".
    rf"(?:{_DESCRIBING}(?:(?:,\s*|\s+)(?:and\s+)?{_DESCRIBING})*(?:\s+{_ADVERB})?(?:\s+with\s.*)?"
    # A participle with what it acts on: "wearing a hat", "made of wood".
    rf"|(?:{_ADVERB}\s+)*{PARTICIPLE}\s+(?:{DETERMINER.pattern}|(?:of|in|with|by|from|to|on)\b).*)",
    re.IGNORECASE | re.DOTALL,
)
_WORD: Final = re.compile(rf"(?:{_ADVERB}\s+)*[a-z-]+")
_EACH: Final = re.compile(r"(?:both|all|each)(?:\s+of\s+them)?\s+", re.IGNORECASE)
_WITH_PARTICIPLE: Final = re.compile(rf"(?:.*\s)?{PARTICIPLE}\b.*", re.IGNORECASE | re.DOTALL)
_ADJECTIVES: Final = re.compile(rf"(?:{ADJECTIVE.pattern}(?:,\s*|\s+and\s+|\s+))+", re.IGNORECASE)
_NOUN_TOO: Final = "(?:orange|glass|square|light|metal|plastic|gold|silver)"
_NO_NOUN: Final = re.compile(rf"(?!{_NOUN_TOO}$)(?:{ADJECTIVE.pattern})(?:\s+{ADJECTIVE.pattern})*", re.IGNORECASE)
_ONE: Final = re.compile(r"(?P<before>.*\S\s+)ones?", re.IGNORECASE | re.DOTALL)


def is_attribute(phrase: str, stated: bool = False) -> bool:
    """Whether a phrase only describes what was named before.

    Args:
        phrase: without what stands around it.
        stated: it follows "is" or the like, where any single word describes: "the house is spooky".

    >>> [is_attribute(text) for text in ("painted red", "both sleeping", "wearing a hat", "flying cars", "a red")]
    [True, True, True, False, False]
    >>> is_attribute("orange"), is_attribute("orange", stated=True)
    (False, True)
    """
    if stated and _WORD.fullmatch(phrase) and singular_word(phrase) == phrase:
        return True
    alone = _ALONE.fullmatch(_EACH.sub("", phrase, count=1))
    return alone is not None and (stated or not may_name(phrase))


def may_name(word: str) -> bool:
    """Whether an adjective is a noun as well, such as "orange"."""
    return re.fullmatch(_NOUN_TOO, word, re.IGNORECASE) is not None


def is_of_each(attribute: str) -> bool:
    """Whether an attribute is said of all that was listed: "both sleeping"."""
    return _EACH.match(attribute) is not None


def attributed(phrase: str, attribute: str) -> str:
    """A noun phrase with an attribute: adjectives before the noun, participles behind.

    >>> attributed("a barn", "old"), attributed("a dog", "both sleeping")
    ('an old barn', 'a dog sleeping')
    """
    attribute = _EACH.sub("", attribute, count=1)
    adjectives, joint, part = attribute.partition(" with ")
    if _WITH_PARTICIPLE.fullmatch(adjectives):
        return f"{phrase} {attribute}"
    rest = split_count(phrase)[1]
    determiner = phrase[: len(phrase) - len(rest)]
    described = f"{adjectives} {rest}{joint}{part}"
    return with_article(described) if determiner.strip().lower() in ("a", "an") else determiner + described


def lacks_noun(rest: str) -> bool:
    """Whether a phrase, without its article, leaves its noun to the next one: "a red and a blue balloon"."""
    return _NO_NOUN.fullmatch(rest) is not None


def with_noun_of(phrase: str, following: str) -> str | None:
    """A phrase that lacks a noun with that of the next one, None where that one is not described likewise.

    >>> with_noun_of("one red", "two blue balloons"), with_noun_of("a red", "a cat")
    ('one red balloon', None)
    """
    rest = split_count(following)[1]
    described = _ADJECTIVES.match(rest)
    return None if described is None else _in_number(phrase, rest[described.end() :])


def with_noun_for_one(phrase: str, earlier: str) -> str:
    """A phrase in which "one" stands for the noun of an earlier phrase.

    >>> with_noun_for_one("a small one", "two big dogs"), with_noun_for_one("a cat", "two big dogs")
    ('a small dog', 'a cat')
    """
    match = _ONE.fullmatch(phrase)
    return phrase if match is None else _in_number(match["before"].strip(), parted(_bare(split_count(earlier)[1]))[0])


def _bare(rest: str) -> str:
    described = _ADJECTIVES.match(rest)
    return rest if described is None else rest[described.end() :]


def _in_number(phrase: str, noun: str) -> str:
    """A phrase and its noun, in the plural where the phrase counts several."""
    *before, last = noun.split() or [""]
    if split_count(phrase)[0] == 1:
        return " ".join([phrase, *before, singular_word(last)])
    return f"{phrase} {many_of(noun)}"
