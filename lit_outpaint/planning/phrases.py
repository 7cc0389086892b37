"""English noun phrases: how many things one names, what it is about, and whether that is a thing or scenery.

A small general lexicon; nothing here knows of any one data set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_NUMBERS: Final = "zero,one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve"
COUNTS: Final = {word: count for count, word in enumerate(_NUMBERS.split(","))} | {"a couple of": 2, "both": 2}
"""Words for counts."""
_ONE: Final = (
    "a",
    "an",
    "the",
    "one",
    "another",
    "this",
    "that",
    "his",
    "her",
    "its",
    "a single",
    "the other",
    "a second",
)
_SOME: Final = ("some", "several", "many", "a few", "few", "various", "lots of", "a lot of", "numerous")
_COUNT: Final = re.compile(
    r"(?:(?P<number>[0-9]{1,3}|"
    + "|".join(sorted([*COUNTS, *_ONE, *_SOME], key=len, reverse=True))
    + r")\s+)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NO: Final = re.compile(
    r"(?:no|not|nothing|without|just|only|every|each|all|most|none|we|you|i|they|those|these|everything)\b",
    re.IGNORECASE,
)

# What follows the noun that a phrase is about: "a pair | of stars", "a man | riding a horse".
_AFTER_HEAD: Final = re.compile(
    r"\s+(?:of|with|without|in|on|to|at|for|from|that|which|who|wearing|holding|riding|made|full|\w{2,}ing(?!$))\s",
    re.IGNORECASE,
)
_IRREGULAR: Final = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "teeth": "tooth",
    "wolves": "wolf",
    "leaves": "leaf",
    "knives": "knife",
    "loaves": "loaf",
    "shelves": "shelf",
}
_SAME_IN_PLURAL: Final = re.compile(r".*(?:sheep|fish|deer|aircraft|glass|grass|bus|cactus|ss|us|is)")
_COLOURS: Final = (
    "red|green|blue|yellow|orange|purple|pink|brown|black|white|grey|gray|golden|gold|silver|beige|turquoise|violet"
)
COLOUR: Final = re.compile(rf"\b(?:{_COLOURS})\b")
"""A word for a colour, in lower case."""
ADJECTIVE: Final = re.compile(
    rf"(?:{_COLOURS}|big|small|large|little|tiny|huge|tall|short|long|old|new|young|round|square|wooden|metal|plastic|"
    r"glass|bright|dark|light|soft|fluffy|shiny|rusty|beautiful|wide|narrow|empty|quiet)",
    re.IGNORECASE,
)

_SKY: Final = (
    "sky|cloud|horizon|air|heaven|sunset|sunrise|sundown|dusk|dawn|twilight|night|day|daylight|evening|morning|noon|"
    "afternoon|weather|rain|snowfall|storm|fog|mist|haze|moonlight|sunlight|starlight|sunshine"
)
_GROUND: Final = (
    "meadow|field|grass|grassland|lawn|pasture|prairie|desert|sand|dune|forest|wood|jungle|snowfield|snow|ice|lake|sea|"
    "ocean|water|river|stream|beach|coast|shore|bay|harbor|harbour|town|city|village|street|road|path|plaza|park|"
    "garden|hill|hillside|mountain|mountainside|peak|valley|plains|land|landscape|seascape|countryside|farmland|ground|"
    "floor|earth|soil|underground|layer|strata|seabed|swamp|room|kitchen|bedroom|bathroom|hall|office|studio|background|"
    "foreground|backdrop|scenery|environment|setting"
)
_ON_TOP: Final = re.compile(
    "lake|sea|ocean|water|river|stream|beach|coast|shore|street|road|path|plaza|hill|hillside|mountain|mountainside|grass|"
    "lawn|sand|snow|ice|ground|floor"
)
# Words about the picture, not about what it shows.
_FRAME: Final = (
    "plain|hour|tone|whole|line|out|quiet|still|"
    "view|scene|picture|image|photo|photograph|painting|drawing|illustration|shot|render|rendering|style|colour|color|"
    "shape|light|lighting|detail|quality|resolution|edge|side|sight|distance|part|rest|middle|center|centre|left|right|"
    "top|bottom|front|low|high|open|even|all|drawn|painted|empty|visible|alone|together|something|anything|everything|else|thing|eye|way|kind"
)
_SKY_WORD: Final = re.compile(_SKY)
_SCENERY_WORD: Final = re.compile(f"{_SKY}|{_GROUND}")
_FRAME_WORD: Final = re.compile(_FRAME)


def split_count(phrase: str) -> tuple[int | None, str]:
    """How many things a phrase names, and the phrase without that; None for "some" and the like.

    >>> split_count("two red barns")
    (2, 'red barns')
    >>> split_count("a pair of stars")
    (1, 'pair of stars')
    """
    match = _COUNT.fullmatch(phrase.strip())
    assert match is not None  # It matches any text.
    number, rest = (match["number"] or "").lower(), match["rest"].strip()
    if number in _SOME:
        return None, rest
    if number.isdigit():
        return int(number), rest
    if number in COUNTS:
        return COUNTS[number], rest
    if number in _ONE:
        return 1, rest
    return (None if head(rest) != singular_word(head(rest)) else 1), rest


def one_of(rest: str) -> str:
    """One of several things, with its article, from the phrase without its count.

    >>> one_of("pairs of stars"), one_of("orange cactuses")
    ('a pair of stars', 'an orange cactus')
    """
    noun, tail = _parted(rest)
    *before, last = noun.split() or [""]
    phrase = " ".join([*before, singular_word(last)]) + tail
    return f"{'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}"


def head(phrase: str) -> str:
    """The noun that a phrase is about, in lower case; empty when there is none."""
    words = re.findall(r"[\w'-]+", _parted(phrase)[0].lower())
    return words[-1] if words else ""


def singular_word(word: str) -> str:
    """A noun in the singular, as far as its ending tells."""
    low = word.lower()
    if low in _IRREGULAR:
        return _IRREGULAR[low]
    if len(low) < 4 or not low.endswith("s") or _SAME_IN_PLURAL.fullmatch(low):
        return word
    if low.endswith("ies"):
        return word[:-3] + "y"
    if re.search(r"(?:s|x|z|ch|sh)es$", low):
        return word[:-2] if not low.endswith(("ouses", "orses", "oses", "ases", "axes")) else word[:-1]
    return word[:-1]


def class_of(phrase: str, names: Sequence[str]) -> str | None:
    """Which of the classes that a judge knows a phrase is about: its noun, else the first of its words that is one.

    >>> class_of("two red barns", ["barn", "tent"]), class_of("a tall pine tree", ["barn", "pine"])
    ('barn', 'pine')
    """
    words = [singular_word(head(phrase)), *(singular_word(word) for word in re.findall(r"[\w'-]+", phrase.lower()))]
    return next((word for word in words if word in names), None)


def is_scenery(phrase: str) -> bool:
    """Whether a phrase is about sky or ground, which belong to the whole picture."""
    nouns = [head(phrase), *re.findall(r"\bof (?:an? |the )?([\w'-]+)$", phrase.lower())]
    return any(_SCENERY_WORD.fullmatch(singular_word(noun)) for noun in nouns)


def whereabouts(scenery: str) -> str:
    """Where something is that is in a place.

    >>> whereabouts("a lake"), whereabouts("a town")
    ('on a lake', 'in a town')
    """
    return f"{'on' if _ON_TOP.fullmatch(singular_word(head(scenery))) else 'in'} {scenery}"


def is_sky(phrase: str) -> bool:
    """Whether it is about sky, weather or the time of day."""
    return _SKY_WORD.fullmatch(singular_word(head(phrase))) is not None


def names_nothing(phrase: str) -> bool:
    """Whether a phrase names no thing and no place: words about the picture, a negation, no noun at all."""
    noun = singular_word(head(phrase))
    return not noun or _NO.match(phrase.strip()) is not None or _FRAME_WORD.fullmatch(noun) is not None


def _parted(phrase: str) -> tuple[str, str]:
    """A phrase up to the noun that it is about, and what follows."""
    match = _AFTER_HEAD.search(phrase)
    return (phrase, "") if match is None else (phrase[: match.start()], phrase[match.start() :])
