"""English nouns in the singular and the plural, as far as their endings tell, and the article that goes before them."""

from __future__ import annotations

import re
from typing import Final

_SINGULARS: Final = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "oxen": "ox",
    "feet": "foot",
    "teeth": "tooth",
    "wolves": "wolf",
    "leaves": "leaf",
    "knives": "knife",
    "loaves": "loaf",
    "shelves": "shelf",
}
_PLURALS: Final = {singular: plural for plural, singular in _SINGULARS.items()}
_SAME_IN_PLURAL: Final = r".*(?:sheep|fish|deer|aircraft)"
_SINGULAR_IN_S: Final = re.compile(rf"{_SAME_IN_PLURAL}|.*(?:glass|grass|bus|cactus|ss|us|is)")
# What keeps its e in the singular: "shoes" and "movies", not "tomatoes" and "ponies".
_IN_OE: Final = re.compile(r"(?:\w*shoe|(?:tip|mistle)?toe|canoe|hoe|foe|oboe|doe|floe|roe|sloe|aloe)s")
_IN_IE: Final = re.compile(
    r"(?:\w*(?:mov|cook|brown|zomb|self|hood|smooth|gen|pix|coll|prair|bird|budg|vegg|rook|calor)|(?:mag|pot)?p|"
    r"(?:neck|bow)?t|l|d)ies"
)
_OES_IN_PLURAL: Final = re.compile(r"(?:tomat|potat|her|ech|volcan|mang|mosquit|torped|carg|domin|buffal|tornad)o")
# By sound: "an hour", but "a unicorn", "a European", "a one-way street".
_VOWEL_SOUND: Final = re.compile(
    r"(?!eu|ewe|uni(?![mn])|us[aeu]|ut[eio]|ufo|uku|ura|one\b|once\b|one-)[aeiou]|hour|honest|honou?r|heir",
    re.IGNORECASE,
)


def singular_word(word: str) -> str:
    """A noun in the singular.

    >>> [singular_word(word) for word in ("cherries", "pies", "tomatoes", "shoes", "axes", "cactus")]
    ['cherry', 'pie', 'tomato', 'shoe', 'axe', 'cactus']
    """
    low = word.lower()
    if low in _SINGULARS:
        return _SINGULARS[low]
    if len(low) < 4 or not low.endswith("s") or _SINGULAR_IN_S.fullmatch(low):
        return word
    if _IN_IE.fullmatch(low) or _IN_OE.fullmatch(low):
        return word[:-1]
    if low.endswith("ies"):
        return word[:-3] + "y"
    if re.search(r"(?:s|x|z|ch|sh|o)es$", low):
        return word[:-2] if not low.endswith(("ouses", "orses", "oses", "ases", "axes")) else word[:-1]
    return word[:-1]


def plural_word(word: str) -> str:
    """A noun in the plural; one that is so already stays.

    >>> [plural_word(word) for word in ("barn", "cactus", "cherry", "bench", "sheep", "barns")]
    ['barns', 'cactuses', 'cherries', 'benches', 'sheep', 'barns']
    """
    low = word.lower()
    if low in _PLURALS:
        return _PLURALS[low]
    if singular_word(word) != word or re.fullmatch(_SAME_IN_PLURAL, low):
        return word
    if re.search(r"(?:s|x|z|ch|sh)$", low) or _OES_IN_PLURAL.fullmatch(low):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", low) else word + "s"


def with_article(phrase: str) -> str:
    """A noun phrase with "a" or "an" before it.

    >>> with_article("unicorn"), with_article("old European house"), with_article("hourglass")
    ('a unicorn', 'an old European house', 'an hourglass')
    """
    return f"{'an' if _VOWEL_SOUND.match(phrase) else 'a'} {phrase}"
