"""What a caption of a whole canvas lists: its places from left to right with their things, its sky and its ground."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.mentions import Mention
from lit_outpaint.planning.phrases import head, is_backdrop, is_sky, one_of
from lit_outpaint.planning.reading import read_mentions
from lit_outpaint.planning.regions import Level
from lit_outpaint.planning.scene import scene_of

OPEN_SKY: Final = "the open sky"
"""What windows above the horizon show where the caption names no sky."""
BELOW_GROUND: Final = "layers of earth"
"""What windows below the ground show where the caption names none."""
MAX_COUNT: Final = 12
"""Of a larger number of equal things this many are planned."""

_FLOATS: Final = re.compile(
    r"bird|balloon|star|moon|sun|kite|plane|airplane|aeroplane|helicopter|rainbow|seagull|eagle|butterfly|airship|drone"
)
_BURIED: Final = re.compile(r"fossil|crystal|gem|ore|root|cave|cavern|tunnel|bone|skeleton")
_WEATHER: Final = re.compile(r"\b(?:under|beneath) an? (?:[\w-]+ )?sky\b", re.IGNORECASE)
_BELOW: Final = re.compile(
    r"\b(?:underground|buried|layers? of (?:earth|rock|soil|stone)|strata|seabed)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Place:
    """A stretch of the canvas and what stands in it."""

    name: str
    """As a noun phrase, for example ``a meadow``; empty where the caption names none."""
    things: tuple[str, ...] = ()
    """One phrase for each thing, in order of mention."""


@dataclass(frozen=True)
class Scenery:
    """All that a caption says about what stands where."""

    surface: tuple[Place, ...]
    """From left to right; at least one."""
    sky: Place
    ground: Place


@lru_cache(maxsize=256)
def read_scenery(caption: str) -> Scenery:
    """Take the caption of a canvas apart; any text gives something."""
    names: list[str] = []
    things: dict[tuple[Level, str], list[str]] = {}
    sky, ground = OPEN_SKY, BELOW_GROUND
    mentions = read_mentions(caption).all
    for mention in mentions:
        if not mention.scenery:
            continue
        if _BELOW.search(mention.phrase):
            ground = mention.phrase
        elif not is_sky(mention.phrase) and not is_backdrop(mention.phrase):
            names += [] if mention.phrase in names else [mention.phrase]
        elif singular_word(head(mention.phrase)) == "sky" and mention.phrase.split()[-2:][0] in ("open", "high"):
            sky = mention.phrase
    # After all places, since a thing may come before its own: "a barn in a meadow and a tent in a desert".
    for mention in mentions:
        if mention.scenery:
            continue
        level = _level(mention)
        place = mention.ground if level == "surface" and mention.ground in names else ""
        things.setdefault((level, place), []).extend(_each(mention))
    surface = [Place(name, tuple(things.get(("surface", name), ()))) for name in names]
    placeless = tuple(things.get(("surface", ""), ()))
    if placeless and surface:
        surface[0] = Place(surface[0].name, (*surface[0].things, *placeless))
    elif not surface:
        surface = [Place("", placeless)]
    return Scenery(
        tuple(surface),
        Place(sky, tuple(things.get(("sky", ""), ()))),
        Place(ground, tuple(things.get(("ground", ""), ()))),
    )


def scene_lead(caption: str) -> str | None:
    """What a caption says of time, weather and mountains, as a global caption begins; None where it says no weather.

    >>> scene_lead("a wide view at dusk under a clear sky: a meadow with a red barn, and a lake with a boat")
    'a wide view at dusk under a clear sky'
    >>> scene_lead("two cars on a street of a town at night under a cloudy sky and a house")
    'a view at night under a cloudy sky'
    >>> scene_lead("a meadow with a red barn")
    """
    weather = _WEATHER.search(caption)
    if weather is None:
        return None
    lead, colon, _ = caption.partition(":")
    if colon and all(mention.scenery for mention in read_mentions(lead).all):
        return lead.strip()
    return " ".join(filter(None, ["a view", scene_of(caption), weather[0]]))


def with_sky_on_the_surface(scenery: Scenery, *, sky: bool, ground: bool) -> Scenery:
    """The scenery of a canvas without rows above or below: their things move to the places in turn.

    Args:
        scenery: of the caption.
        sky: whether the canvas has rows of sky.
        ground: whether it has rows of ground.
    """
    moved = [*(() if sky else scenery.sky.things), *(() if ground else scenery.ground.things)]
    places = list(scenery.surface)
    for number, thing in enumerate(moved):
        # Where there are others, not to the first place: there the image is.
        at = 1 + number % (len(places) - 1) if len(places) > 1 else 0
        place = places[at]
        places[at] = Place(place.name, (*place.things, thing))
    return Scenery(
        tuple(places),
        scenery.sky if sky else Place(scenery.sky.name),
        scenery.ground if ground else Place(scenery.ground.name),
    )


def _level(mention: Mention) -> Level:
    noun = singular_word(head(mention.rest))
    nouns = [noun, *(singular_word(word) for word in re.findall(r"\bof ([\w-]+)$", mention.rest.lower()))]
    if is_sky(mention.ground) or any(_FLOATS.fullmatch(noun) for noun in nouns):
        return "sky"
    if _BELOW.search(mention.ground) or any(_BURIED.fullmatch(noun) for noun in nouns):
        return "ground"
    return "surface"


def _each(mention: Mention) -> Iterable[str]:
    """A phrase for each of a counted thing."""
    count = min(mention.count or 1, MAX_COUNT)
    return [one_of(mention.rest)] * count if count > 1 else [mention.phrase]
