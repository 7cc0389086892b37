"""What a caption says about the whole scene, and what is left when that is taken away.

Time of day, weather and mountains hold for a wide scene (global); the rest is the place one window shows (local). A
small general lexicon finds them; nothing here knows of any one data set. Standard library only, so that preparation
runs without torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from lit_outpaint.system.text import clean

MAX_CHARS = 4000
"""Characters of a caption that are looked at: patterns over longer runs of prepositions take seconds."""
MAX_PLACE_WORDS = 14
"""A longer place is cut, so that several fit into the 77 tokens of a text encoder."""

# Patterns of each group, tried in order; the phrase on the left is how a summary says it. Negated and compound words
# come before the plain ones that they contain.
_TIMES = (
    ("at dusk", r"dusk|sunset|sundown|twilight|nightfall|evening"),
    ("at dawn", r"dawn|sunrise|daybreak|first light|morning"),
    ("at night", r"night|night-?time|midnight|moonlit|moonlight|starlit|starlight|starry"),
    ("by day", r"day|day-?time|daylight|noon|midday|afternoon"),
)
_WEATHERS = (
    ("under a clear sky", r"cloudless|(?:no|without(?: any)?|free of) clouds?|clear (?:\w+ )?(?:sky|skies|weather)|"
                          r"clear (?:day|night|morning|evening|dawn|dusk)|blue sky|blue skies|sunny"),
    ("in the rain", r"rain|rainy|raining|drizzle|thunderstorm|stormy|storm"),
    ("in falling snow", r"snowing|snowfall|snowstorm|blizzard|falling snow"),
    ("in fog", r"fog|foggy|mist|misty|hazy|haze"),
    ("under a cloudy sky", r"clouds?|cloudy|overcast|clouded"),
)  # fmt: skip
_MOUNTAINS = r"mountains?|mountainous|mountain range|snowy peaks|peaks"
_NO_MOUNTAINS = rf"(?:no|without(?: any)?) (?:{_MOUNTAINS})"

_GLOBAL_WORD = (
    "(?:"
    + "|".join([pattern for _, pattern in (*_TIMES, *_WEATHERS)] + [_NO_MOUNTAINS, _MOUNTAINS, "sky", "skies"])
    + ")"
)
_LINKS = (
    "at|by|in|on|under|beneath|below|beyond|against|during|with|without|of|and|before|behind|near|above|over|through"
)
_BETWEEN = rf"(?:(?!(?:{_LINKS})\b)[\w'-]+\s+){{0,3}}?"
_TAIL = (
    r"(?:[\s-]+(?:(?:above|behind|beyond) (?:it|them)|sky|skies|air|light|hours?|time|day|weather|overhead|above|"
    r"behind|beyond|far away|scene|(?:in|on) the (?:far )?(?:distance|background|horizon)|rising behind))*"
)
_GLOBAL_PHRASE = re.compile(
    rf"\s*\b(?:and\s+)?(?:(?:{_LINKS})\s+){{1,4}}(?:the\s+)?{_BETWEEN}{_GLOBAL_WORD}\b{_TAIL}", re.IGNORECASE
)
_GLOBAL_CLAUSE = re.compile(rf"^{_BETWEEN}{_GLOBAL_WORD}\b{_TAIL}$", re.IGNORECASE)
_TIME_WORD = "(?:" + "|".join(pattern for _, pattern in _TIMES) + ")"
_GLOBAL_OPENING = re.compile(
    rf"^(?:an?\s+|the\s+)?{_BETWEEN}(?:{_GLOBAL_WORD}\s+(?:over|above|behind|beyond)\s+(?=\w)|"
    # "A cloudy day on a lake" shows a lake; "a morning in the rain" names no place.
    rf"{_TIME_WORD}\s+(?:on|in|at|by)\s+(?=\w)(?!(?:an?\s+|the\s+)?{_BETWEEN}{_GLOBAL_WORD}\b))",
    re.IGNORECASE,
)
_GLOBAL_ADJECTIVE = re.compile(
    r"\b(?:cloudy|overcast|clouded|moonlit|starlit|starry|sunny|sunlit|cloudless|rainy|stormy|foggy|misty|hazy|mountainous|"
    r"night-?time|day-?time|evening|morning)\s+(?=\w)",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"^(?:(?:this is|here is|here we see|we see|you can see|there is|there are|it shows|showing|one sees)\s+)?"
    r"(?:(?:an?|the)\s+(?:wide\s+|distant\s+|night\s+)?(?:photo(?:graph)?|picture|image|view|painting|drawing|scene|shot)"
    r"\s*(?:of|showing|shows|with|:)?\s+)?",
    re.IGNORECASE,
)
# Where in the frame a thing stands means nothing in a wider scene.
_POSITION = re.compile(
    r"\s+(?:on|to|in|at) the (?:far )?(?:left|right|middle|cent(?:er|re)|foreground)(?:[ -](?:hand )?side)?\b",
    re.IGNORECASE,
)
_STARTS_ITEM = re.compile(r"^(?:an?|the|some|two|three|four|five|six|several|many|few|another)\b", re.IGNORECASE)
_DANGLING = re.compile(rf"(?:\s+(?:{_LINKS}|a|an|the))+$", re.IGNORECASE)
_WORD = re.compile(r"[a-z][a-z'-]+")
_STOP_WORD = re.compile(
    r"a|an|the|and|or|of|in|on|at|by|to|with|without|under|over|near|next|beside|behind|before|above|below|from|into|"
    r"through|is|are|was|were|be|it|its|there|here|this|that|these|some|several|many|few|two|three|one|view|wide|scene|"
    r"stands|standing|lies|lying|sits|sitting|seen|visible|photo|picture|image"
)


@dataclass(frozen=True)
class Scene:
    """A caption taken apart; None where the caption leaves something out."""

    time: str | None
    """For example ``at night``."""
    weather: str | None
    """For example ``under a cloudy sky``."""
    mountains: bool | None
    """False only where the caption denies them."""
    place: str
    """What is left: the local part without positions in the frame, never empty."""
    words: frozenset[str]
    """Content words of the place."""

    def contradicts(self, other: Scene) -> bool:
        """Tell whether both name the same global attribute differently."""
        pairs = ((self.time, other.time), (self.weather, other.weather), (self.mountains, other.mountains))
        return any(mine is not None and theirs is not None and mine != theirs for mine, theirs in pairs)

    def same_place(self, other: Scene) -> bool:
        """Tell whether the places share at least half of the content words of the shorter one."""
        shorter = min(len(self.words), len(other.words))
        if shorter == 0:
            return self.place == other.place
        return len(self.words & other.words) * 2 >= shorter


@lru_cache(maxsize=65536)
def read_scene(caption: str) -> Scene:
    """Take a caption apart.

    Raises:
        ValueError: the caption holds no word.
    """
    text = clean(caption)[:MAX_CHARS]
    place = _place(text)
    words = content_words(place)
    mountains = False if _finds(_NO_MOUNTAINS, text) else (True if _finds(_MOUNTAINS, text) else None)
    return Scene(_first(_TIMES, text), _first(_WEATHERS, text), mountains, place, words)


def content_words(text: str) -> frozenset[str]:
    """Words that carry meaning: lower case, without plural s, without articles, prepositions, counts and the like."""
    return frozenset(_singular(word) for word in _WORD.findall(text.lower()) if not _STOP_WORD.fullmatch(word))


def local_part(caption: str) -> str:
    """The caption without its lead-in, its global phrases and positions in the frame; empty if nothing is left.

    Raises:
        ValueError: the caption holds no word.
    """
    parts = [part for part in re.split(r"\s*[,;.]\s+", clean(caption)[:MAX_CHARS]) if part and not _is_global(part)]
    local = ""
    for part in parts:
        part = _GLOBAL_OPENING.sub("", _LEAD_IN.sub("", part))
        part = _POSITION.sub("", _GLOBAL_ADJECTIVE.sub("", _GLOBAL_PHRASE.sub("", part)))
        part = re.sub(r"\s*:\s*", " with ", part)  # A colon opens the list of a global caption.
        part = _DANGLING.sub("", part).strip(" -,:")
        if part:
            local += (" and " if _STARTS_ITEM.match(part) else ", ") + part if local else part
    return local


def elements(global_caption: str) -> list[str]:
    """The places that a global caption lists, in its order: after the colon if it has one; never empty."""
    text = clean(global_caption)[:MAX_CHARS]
    listed = text.partition(":")[2].strip() or text
    parts = re.split(r"\s*[;,]\s*(?:and\s+)?", listed)
    if not re.search(r"[;,]\s*and\b", listed):  # "a, b and c": the last comma is left out.
        parts[-1:] = _split_last(parts[-1])
    parts = [part for part in parts if any(map(str.isalnum, part))]
    local = [read_scene(part).place for part in parts if not _is_global(clean(part))]
    return list(dict.fromkeys(local)) or [read_scene(text).place]


def _split_last(text: str) -> list[str]:
    """Split "b and c" at the joint of two places, not inside one: "b with x and c with y and z" gives two."""
    joints = [match for match in re.finditer(r" and ", text) if _STARTS_ITEM.match(text[match.end() :])]
    if not joints:
        return [text]
    between_places = [joint for joint in joints if " with " in text[joint.end() :]]
    joint = (between_places or joints)[-1]
    return [text[: joint.start()], text[joint.end() :]]


def _place(text: str) -> str:
    """The local part, short and without commas; the caption itself where nothing is left."""
    place = local_part(text)
    words = (place or _LEAD_IN.sub("", text) or text).replace(",", " ").split()
    if len(words) > MAX_PLACE_WORDS:
        words = _cut(words[:MAX_PLACE_WORDS])
    place = _DANGLING.sub("", " ".join(words)) or " ".join(words)
    return place[0].lower() + place[1:] if place[:2] not in ("I ", "I'") else place


def _cut(words: list[str]) -> list[str]:
    """End before the last joint, so that no half phrase is left."""
    joints = [i for i, word in enumerate(words) if word in ("and", "with", "between") and i > 1]
    return words[: joints[-1]] if joints else words


def _is_global(part: str) -> bool:
    rest = _GLOBAL_PHRASE.sub("", " " + part).strip()
    return not rest or _GLOBAL_CLAUSE.match(rest) is not None


def _first(groups: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((phrase for phrase, pattern in groups if _finds(pattern, text)), None)


def _finds(pattern: str, text: str) -> bool:
    return re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE) is not None


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
