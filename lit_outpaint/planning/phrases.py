"""English noun phrases: how many things one names, what it is about, and whether that is a thing or scenery.

A small general lexicon; nothing here knows of any one data set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lit_outpaint.planning.inflection import plural_word, singular_word, with_article

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
DETERMINER: Final = re.compile(
    r"(?:an?|the|some|several|many|few|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[0-9]+|another|"
    r"both|his|her|its|their)\b",
    re.IGNORECASE,
)
"""What a noun phrase begins with."""
_NO: Final = re.compile(
    r"(?:no|not|nothing|without|just|only|every|each|all|most|none|we|you|i|they|those|these|everything)\b",
    re.IGNORECASE,
)

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
_NO_NOUN: Final = re.compile(rf"(?:{ADJECTIVE.pattern}|[0-9]+|{'|'.join([*COUNTS, *_ONE, *_SOME])})", re.IGNORECASE)
_ING_NOUN: Final = (
    "building|painting|drawing|carving|railing|awning|ceiling|string|spring|swing|clothing|lightning|crossing|landing|"
    "opening|earring|viking|duckling|gosling|sapling|seedling|dumpling|pudding|stocking|wedding|icing|morning|evening|"
    "thing|something|nothing|anything|everything"
)
PARTICIPLE: Final = (
    rf"(?:(?!(?:{_ING_NOUN})s?\b)\w{{2,}}ing|(?!(?:flowerbed|bobsled|toolshed|hundred)\b)\w{{3,}}(?<!e)ed|"
    r"made|built|drawn|frozen|broken|torn|worn)"
)
"""Pattern of a verb that says something of a noun: ``riding``, ``painted``."""
# What follows the noun that a phrase is about: "a pair | of stars", "a man | riding a horse", "a dog | running".
_AFTER_HEAD: Final = re.compile(
    rf"\s+(?:(?:of|with|without|in|on|to|at|for|from|that|which|who|full)(?=\s)|"
    rf"(?P<participle>{PARTICIPLE})(?:(?<=ing)(?=\s|$)|(?=\s+(?:by|in|with|on|of|from|to|{_COLOURS})\b|$)))",
    re.IGNORECASE,
)

_SKY: Final = (
    "sky|cloud|horizon|air|heaven|sunset|sunrise|sundown|dusk|dawn|twilight|night|day|daylight|evening|morning|noon|"
    "afternoon|weather|rain|snowfall|storm|fog|mist|haze|moonlight|sunlight|starlight|sunshine|winter|summer|autumn"
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
# How a picture is made: tags without an article, "digital art, 4k, highly detailed".
_STYLE: Final = re.compile(
    r"(?!(?:an?|the|some)\b)(?:[248]k|u?hd|hdr|bokeh|masterpiece|artstation|trending|award[ -]winning|"
    r"(?:[\w-]+ )*(?:art|artwork|focus|engine|photography|sketch|watercolou?r|realism)|"
    r"(?:\w+ly |hyper|photo|ultra[ -]?)*(?:detailed|realistic|rendered|cinematic))",
    re.IGNORECASE,
)
_BACKDROP: Final = re.compile("mountain|peak|background|backdrop|foreground|scenery")
# "A car of wood" is a car; "a stretch of water" is water.
_MATERIAL: Final = re.compile("water|wood|ice|snow|sand|grass|earth|soil")
_EXPANSE: Final = re.compile("stretch|expanse|sheet|strip|blanket|body|surface|edge|middle|corner|side|top|bottom|view")
_PART: Final = re.compile(
    "roof|door|window|chimney|porch|balcony|tower|hat|cap|shirt|dress|coat|jacket|suit|skirt|scarf|shoe|boot|glove|tie|"
    "glasses|sunglasses|hair|beard|eye|ear|nose|mouth|face|arm|hand|leg|foot|tail|wing|horn|fur|mane|handle|wheel|sail|mast|"
    "spot|stripe|button|pocket"
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
    noun, tail = parted(rest)
    *before, last = noun.split() or [""]
    return with_article(" ".join([*before, singular_word(last)]) + tail)


def many_of(rest: str) -> str:
    """Several of a thing, without their count, from the phrase without its article.

    >>> many_of("pair of stars"), many_of("red barn with a roof")
    ('pairs of stars', 'red barns with a roof')
    """
    noun, tail = parted(rest)
    *before, last = noun.split() or [""]
    return " ".join([*before, plural_word(last)]) + tail


def joined(phrases: Sequence[str]) -> str:
    """Phrases as a list in English."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def head(phrase: str) -> str:
    """The noun that a phrase is about, in lower case; empty when there is none."""
    words = re.findall(r"[\w'-]+", parted(phrase)[0].lower())
    return words[-1] if words else ""


def class_of(phrase: str, names: Sequence[str]) -> str | None:
    """Which of the classes that a judge knows a phrase is about: its noun, else the first of its words that is one.

    >>> class_of("two red barns", ["barn", "tent"]), class_of("a tall pine tree", ["barn", "pine"])
    ('barn', 'pine')
    """
    words = [singular_word(head(phrase)), *(singular_word(word) for word in re.findall(r"[\w'-]+", phrase.lower()))]
    return next((word for word in words if word in names), None)


def is_scenery(phrase: str) -> bool:
    """Whether a phrase is about sky or ground, which belong to the whole picture."""
    noun = singular_word(head(phrase))
    if re.fullmatch(rf"\s+{PARTICIPLE}", parted(phrase)[1], re.IGNORECASE):
        return False  # "Snow falling" on something; "a lake surrounded" by something.
    if _SCENERY_WORD.fullmatch(noun):
        return True
    whole = re.search(r"\bof (?:an? |the )?([\w'-]+)$", phrase.lower())
    if whole is None or not _SCENERY_WORD.fullmatch(singular_word(whole[1])):
        return False
    return not _MATERIAL.fullmatch(whole[1]) or _EXPANSE.fullmatch(noun) is not None


def is_backdrop(phrase: str) -> bool:
    """Whether a phrase is about what stands behind everything."""
    return _BACKDROP.fullmatch(singular_word(head(phrase))) is not None


def is_name(phrase: str) -> bool:
    """Whether a phrase is a name, as in "by Van Gogh".

    >>> is_name("Van Gogh"), is_name("a lake")
    (True, False)
    """
    return re.fullmatch(r"[A-Z][\w.'-]*(?:\s+(?:[A-Z][\w.'-]*|van|von|de|da|der|the))*", phrase.strip()) is not None


def is_part(phrase: str) -> bool:
    """Whether a phrase is about what is worn by, or a piece of, something else: a hat, a roof."""
    return _PART.fullmatch(singular_word(head(phrase))) is not None


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
    """Whether a phrase names no thing and no place: words about the picture, a negation, no noun at all.

    >>> names_nothing("digital art"), names_nothing("a piece of art")
    (True, False)
    """
    noun, bare = singular_word(head(phrase)), phrase.strip()
    known = _NO.match(bare) or _STYLE.fullmatch(bare) or _FRAME_WORD.fullmatch(noun)
    return not noun or known is not None


def parted(phrase: str) -> tuple[str, str]:
    """A phrase up to the noun that it is about, and what follows.

    >>> parted("a dog running in a park"), parted("a red flying car")
    (('a dog', ' running in a park'), ('a red flying car', ''))
    """
    for match in _AFTER_HEAD.finditer(phrase):
        before = phrase[: match.start()].split()
        # "A red flying car" is about a car.
        if match["participle"] is None or not (before and _NO_NOUN.fullmatch(before[-1])):
            return phrase[: match.start()], phrase[match.start() :]
    return phrase, ""
