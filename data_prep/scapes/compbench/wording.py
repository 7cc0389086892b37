"""How prompts say it: names of things, places, relations and attributes, each in several wordings.

Words are those of the captions that the family's text encoder learnt from. What these captions never say (above,
below, "to the left of") stands beside a wording in their words wherever one exists.
"""

import random
from collections.abc import Sequence
from typing import Final

from data_prep.scapes.captions import NUMBERS, PLACES, TIME_PHRASES, WEATHER_PHRASES, joined, noun_phrase
from data_prep.scapes.staging import HOME, VIEWS, Scene, Seen
from data_prep.scapes.world import SeenObject
from lit_outpaint.data.prompts import Relation

RELATION_WORDINGS: Final[dict[Relation, tuple[str, ...]]] = {
    "left_of": (
        "{a} on the left and {b} on the right",
        "{a} to the left of {b}",
        "{b} on the right, with {a} on the left",
        "{a} left of {b}",
    ),
    "right_of": (
        "{b} on the left and {a} on the right",
        "{a} to the right of {b}",
        "{a} on the right, with {b} on the left",
        "{a} right of {b}",
    ),
    "above": ("{a} above {b}", "{b} under {a}", "{a} high up and {b} under it", "{b} with {a} above it"),
    "below": ("{a} below {b}", "{a} under {b}", "{b} high up and {a} under it", "{b} with {a} below it"),
    "between": (
        "{a} between {b} and {c}",
        "{a} in the middle, between {b} and {c}",
        "{b} and {c} with {a} between them",
    ),
}
"""``a`` is the thing that is spoken of."""

NO_MOUNTAINS: Final = ("with no mountains behind", "without mountains")


def named(kind: str, colour: str | None = None, count: int = 1) -> str:
    """A thing with its article, or several of it: ``a red barn``, ``two barns``."""
    return noun_phrase(SeenObject(kind, colour, 0, 0), count)


def where(place: str, rng: random.Random) -> str:
    """Where something is, in one of the two wordings of a place."""
    return PLACES[place][rng.randrange(2)][1]


def listed(rng: random.Random, things: Sequence[str]) -> str:
    """Phrases in random order: ``a barn, a tent and a cactus``."""
    return joined(rng.sample(list(things), len(things)))


def relation_phrase(rng: random.Random, relation: Relation, things: Sequence[str]) -> str:
    """Say a relation; ``things`` are the one spoken of and then the others."""
    return rng.choice(RELATION_WORDINGS[relation]).format(**dict(zip("abc", things, strict=False)))


def opened(rng: random.Random, text: str) -> str:
    """The text as it is, or behind an opening."""
    there = "there are {}" if text.split()[0] in NUMBERS[2:] else "there is {}"
    return rng.choice(("{}", "{}", "a view of {}", "a quiet view of {}", "a wide view: {}", there)).format(text)


def placed_groups(rng: random.Random, named_at: Sequence[tuple[str, str]]) -> str:
    """Things with the places where they are, group by group: ``a barn in a meadow and a balloon in the open sky``.

    Args:
        rng: draws wordings and order.
        named_at: the place of each thing, a key of `PLACES`, and its name.
    """
    groups: dict[str, list[str]] = {}
    for place, name in named_at:
        groups.setdefault(place, []).append(name)
    return listed(rng, [f"{listed(rng, names)} {where(place, rng)}" for place, names in groups.items()])


def place_of(scene: Scene, thing: Seen) -> str:
    """Key of `PLACES` for where a thing is."""
    layer = VIEWS[scene.view].rows[thing.row].layer
    return HOME[thing.kind] if layer == "surface" else layer


def attributes(rng: random.Random, scene: Scene, chosen: Sequence[str]) -> str:
    """Chosen ones of ``time``, ``weather`` and ``mountains``, in the order of the captions."""
    parts = [rng.choice(TIME_PHRASES[scene.time])] if "time" in chosen else []
    parts += [WEATHER_PHRASES[scene.weather]] if "weather" in chosen else []
    if "mountains" in chosen:
        parts.append("with mountains behind" if scene.mountains else rng.choice(NO_MOUNTAINS))
    return " ".join(parts)


def tidy(text: str) -> str:
    """One space between words."""
    return " ".join(text.split())
