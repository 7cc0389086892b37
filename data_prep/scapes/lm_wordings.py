"""How people and programs word a caption of a whole scene, so that ScapesLM understands more than its teacher's words.

Attributes come in many words, places in the plural or by other names, and some captions tell of other worlds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from data_prep.scapes.captions import PLACES
from data_prep.scapes.lm_corpus import SKY, UNDERGROUND, Local

TIMES: dict[str, tuple[str, ...]] = {
    "dawn": ("at dawn", "at sunrise", "in the early morning", "at daybreak"),
    "day": ("by day", "in daylight", "at noon", "in the afternoon"),
    "dusk": ("at dusk", "at sunset", "in the evening", "at twilight"),
    "night": ("at night", "in the night", "at midnight", "in the moonlight"),
}
WEATHERS: dict[str, tuple[str, ...]] = {
    "clear": ("under a clear sky", "under a cloudless sky", "under a blue sky"),
    "cloudy": ("under a cloudy sky", "under an overcast sky", "with clouds above"),
    "other": ("in the rain", "in fog", "in falling snow"),
}
MOUNTAINS = ("with mountains behind", "with mountains in the distance", "with mountains", "with mountains far away")

NAMES: dict[str, tuple[str, ...]] = {
    "meadow": ("meadows", "green fields", "grassland", "a grassy field"),
    "desert": ("deserts", "sand dunes", "a sandy plain", "the desert"),
    "forest": ("forests", "woods", "a dark wood", "the forest"),
    "snowfield": ("snowfields", "snow", "a snowy plain", "fields of snow"),
    "lake": ("lakes", "water", "a blue lake", "the lake"),
    "town": ("towns", "a village", "a street", "the town"),
    SKY: ("the sky", "the air", "the open sky", "the sky"),
    UNDERGROUND: ("the ground", "rock", "layers of earth", "the underground"),
}
"""Other words for a place."""


def _phrases(text: str) -> list[str]:
    return text.split("|")


_ATTRIBUTE = re.compile(
    "|".join(sorted((p for group in (*TIMES.values(), *WEATHERS.values(), MOUNTAINS) for p in group), key=len)[::-1])
)
_NAMED = re.compile(
    r"\b(?:(?P<meadow>meadows?|(?:green|grassy) fields?|grassland)|(?P<desert>deserts?|sand|sandy)|"
    r"(?P<forest>forests?|woods?)|(?P<snowfield>snowfields?|snow|snowy)|(?P<lake>lakes?|water)|"
    r"(?P<town>towns?|villages?|streets?)|(?P<sky>(?:open|high|the) sky|the air)|"
    r"(?P<underground>underground|layers of earth|the ground|rock))\b"
)

_TYPED = (
    "{a} {p}",
    "{p} {a}",
    "a picture of {p} {a}",
    "{p}, {a}",
    "a wide landscape {a} with {p}",
    "{p}. {a}",
    "{a}: {p}",
)
_WHO = _phrases(
    "a man|a woman|two dogs|a child|a group of people|a cat|three elephants|a surfer|a train|several boats|a horse|"
    "a giraffe|a skier|a small plane|a cyclist|a chef|many sheep|an old couple|a clock tower|a robot|a ship"
)
_DOES = _phrases(
    "riding a bicycle|standing|sitting on a bench|walking|eating a pizza|playing tennis|waiting|holding an umbrella|"
    "reading a book|sleeping|looking at a phone|flying a kite|near a red bus|next to a white fence|with a suitcase"
)
_WHERE = _phrases(
    "on a busy city street|on the beach|in a kitchen|in a park|at a train station|on a wooden table|beside a river|"
    "in front of a castle|in an office|on a farm|near the ocean|in a museum|on a bridge|in a harbour|in a garden|"
    "inside a spaceship|in a rice field|at a market|by a waterfall|in a stadium"
)
_SYLLABLES = _phrases("ba|ko|mi|ru|ten|val|sor|ix|ple|dra|qu|en|um|lo|sti|wha|ge|fy|zan|or")


def places_named(text: str) -> tuple[str, ...]:
    """Places that a caption of a whole scene names by any name, in its order."""
    text = _ATTRIBUTE.sub("", text.lower())
    return tuple(dict.fromkeys(match.lastgroup for match in _NAMED.finditer(text) if match.lastgroup))


def attributes(rng: random.Random, share: float = 0.7) -> str:
    """Time, weather and mountains in anybody's words, each with a probability of ``share``; may be empty."""
    parts = []
    if rng.random() < share:
        parts.append(rng.choice(rng.choice(list(TIMES.values()))))
    if rng.random() < share:
        parts.append(rng.choice(WEATHERS[rng.choices(("clear", "cloudy", "other"), (5, 5, 2))[0]]))
    if rng.random() < share:
        parts.append(rng.choice((*MOUNTAINS, *MOUNTAINS, "without mountains")))
    return " ".join(parts)


def exact_attributes(rng: random.Random) -> str:
    """Time, weather and mountains as the annotators put them."""
    time = rng.choice(TIMES[rng.choice(list(TIMES))][:2])
    return f"{time} {WEATHERS[rng.choice(('clear', 'cloudy'))][0]}" + rng.choice(("", " with mountains behind"))


def listed(rng: random.Random, places: Sequence[Local]) -> str:
    """A whole scene as a list after a colon: each place with one or two of its things."""
    scenes = []
    for local in places:
        noun, things = PLACES[local.places[0]][0][0], " and ".join(local.phrases[: rng.randint(1, 2)])
        scenes.append(f"{noun} with {things}" if things else noun)
    text = scenes[0] if len(scenes) == 1 else ", ".join(scenes[:-1]) + " and " + scenes[-1]
    return f"a wide view {exact_attributes(rng)}: {text}"


def typed(rng: random.Random, places: Sequence[Local]) -> str:
    """A whole scene as somebody may type it."""
    words = []
    for local in places:
        name = local.places[0]
        word = rng.choice((PLACES[name][0][0], PLACES[name][1][0], *NAMES[name]))
        things = local.phrases[:1] if rng.random() < 0.4 else ()
        words.append(f"{word} with {things[0]}" if things else word)
    if len(words) > 1:
        joint = rng.choice((" and ", ", and ", ", then ", " beside "))
        words = [", ".join(words[:-1]) + joint + words[-1]]
    told = attributes(rng, 0.6)
    text = " ".join(rng.choice(_TYPED).format(a=told, p=words[0]).split()).strip(" .:,")
    return rng.choice((text, text, text.capitalize(), text.capitalize() + "."))


def elsewhere(rng: random.Random) -> str:
    """A caption of another world; one in four holds a word that nobody knows."""
    who = rng.choice(_WHO)
    if rng.random() < 0.25:
        who = rng.choice(("a ", "the ", "two ")) + "".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4)))
    parts = [who, rng.choice(_DOES) if rng.random() < 0.6 else "", rng.choice(_WHERE), attributes(rng, 0.15)]
    return " ".join(part for part in parts if part)
