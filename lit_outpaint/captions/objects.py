"""What the captions so far have put on the canvas, and how much a caption repeats the one before.

Noun phrases are found by the words that stand between them (prepositions, conjunctions, verbs), without a tagger: good
enough to tell a language model what is there already. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lit_outpaint.captions.negations import affirmed
from lit_outpaint.captions.scene import content_words, local_part

MAX_SEEN = 16
"""Things that are named to a captioner at most; a longer list costs tokens on every step."""

_MAX_WORDS = 6
_DETERMINER = (
    r"an?|the|some|two|three|four|five|six|seven|eight|nine|ten|several|many|few|another|his|her|its|their|this|that"
)
# What parts two noun phrases. "of" stays inside them ("a row of trees"), but not at the end of a preposition.
_PREPOSITION = (
    r"in front of|on top of|in the middle of|out of|outside of|inside of|next to|close to|because of|instead of|"
    r"in|on|at|by|to|with|without|under|underneath|over|near|beside|besides|behind|before|above|below|from|into|onto|"
    r"through|between|among|amid|around|along|across|against|beneath|beyond|inside|outside|towards?|upon|within|off|"
    r"high up|down|up|past|toward|about|for|as|after|during|like"
)
_CONJUNCTION = r"and|or|but|while|where|when|which|who|whose|that|than|then|also|there|here"
_VERB = (
    r"is|are|was|were|be|been|being|has|have|had|can|could|stands?|sits?|lies|lay|runs?|walks?|rises?|grows?|leads?|"
    r"looks?|drifts?|floats?|holds?|wears?|rides?|eats?|plays?|shows?|surrounds?|hangs?|leans?|flows?|stretch(?:es)?|"
    r"appears?|seen|reach(?:es)?|rests?|swims?"
)
_BREAK = re.compile(rf"\b(?:{_PREPOSITION}|{_CONJUNCTION}|{_VERB})\b|[,;:.()\"]", re.IGNORECASE)
# A participle parts phrases where it follows a noun: "a man riding a horse", but not "a winding path".
_PARTICIPLE = re.compile(
    rf"(?<=[a-z])\s+(?<!\ba\s)(?<!\ban\s)(?<!\bthe\s)(?:\w{{2,}}ing|\w{{2,}}(?:ed|ened)(?=\s+(?:{_PREPOSITION}|of)\b))\b",
    re.IGNORECASE,
)
_ING_NOUN = re.compile(
    r"\s+(?:building|painting|railing|awning|ceiling|king|ring|wing|string|spring|clothing|lightning|crossing|"
    r"landing|opening|swing|thing|something|nothing|anything|everything)\b",
    re.IGNORECASE,
)
_NEXT_ITEM = re.compile(rf"\s+(?=(?:{_DETERMINER})\s)", re.IGNORECASE)
_FIRST = re.compile(rf"(?:{_DETERMINER})\s", re.IGNORECASE)
_COUNT = re.compile(r"four|five|six|seven|eight|nine|ten|another|his|her|their|no")
# Words that name no thing that a picture could show twice.
_NO_THING = re.compile(
    r"nothing|else|empty|quiet|just|left|right|middle|center|centre|foreground|background|front|top|bottom|side|edge|"
    r"part|distance|horizon|sky|skie|open|high|clear|cloudy|light|day|night|other|area|kind|sort|various|all|both|very|"
    r"further|farther|something|anything|everything"
)


def noun_phrases(caption: str) -> list[str]:
    """Things and places that a caption names, in its order, without what it says of time, weather and mountains.

    What it says is not there is left out.

    >>> noun_phrases("two red barns and a man riding a horse in a meadow at night")
    ['two red barns', 'a man', 'a horse', 'a meadow']

    Raises:
        ValueError: the caption holds no word.
    """
    said = affirmed(local_part(caption))
    text = _PARTICIPLE.sub(lambda match: match[0] if _ING_NOUN.fullmatch(match[0]) else ",", said)
    phrases = [item.strip(" -'") for chunk in _BREAK.split(text) for item in _NEXT_ITEM.split(chunk)]
    return [" ".join(_lower(phrase).split()[:_MAX_WORDS]) for phrase in phrases if _things(phrase)]


def named_things(caption: str) -> list[tuple[frozenset[str], str]]:
    """What the noun phrases of a caption are about, equal up to article, count and plural, with each phrase.

    Raises:
        ValueError: the caption holds no word.
    """
    return [(_things(phrase), phrase) for phrase in noun_phrases(caption)]


def things_seen(captions: Sequence[str], limit: int = MAX_SEEN) -> list[str]:
    """Distinct noun phrases of the captions, the latest mention last; equal up to article, count and plural.

    Args:
        captions: oldest first.
        limit: as many of the latest are kept.

    Raises:
        ValueError: a caption holds no word.
    """
    latest: dict[frozenset[str], str] = {}
    for caption in captions:
        for thing, phrase in named_things(caption):
            latest.pop(thing, None)
            latest[thing] = phrase
    return list(latest.values())[-limit:]


def caption_similarity(caption: str, other: str) -> float:
    """Share of content words that two captions have in common (Jaccard), in [0, 1].

    Content words are those of ``content_words``; two captions without any are alike (1) only if they are equal.
    """
    one, two = content_words(caption), content_words(other)
    if not one | two:
        return float(caption == other)
    return len(one & two) / len(one | two)


def _lower(phrase: str) -> str:
    """Without the capital of a sentence's first word, where that is an article or a count."""
    return phrase[0].lower() + phrase[1:] if _FIRST.match(phrase) else phrase


def _things(phrase: str) -> frozenset[str]:
    """What a phrase is about; empty when it names no thing."""
    words = frozenset(word for word in content_words(phrase) if not _COUNT.fullmatch(word))
    return words if any(not _NO_THING.fullmatch(word) for word in words) else frozenset()
