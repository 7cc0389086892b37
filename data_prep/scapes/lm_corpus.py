"""Captions of training windows, taken apart: all that ScapesLM and its teacher ever learn of the world.

Only the annotated captions of single training windows are used (worlds with even seeds), as texts. The words for places
and things below are those of the annotators; nothing here looks at a picture, at facts, or at a panorama.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from data_prep.scapes.captions import NOUNS, NUMBERS, PLACES, TIME_PHRASES, WEATHER_PHRASES, annotate
from data_prep.scapes.palette import COLOURS, KINDS
from data_prep.scapes.windows import random_place
from lit_outpaint.captions.scene import read_scene

SKY, UNDERGROUND = "sky", "underground"
SURFACE = tuple(place for place in PLACES if place not in (SKY, UNDERGROUND))
"""Places that lie side by side."""

MAX_WORDS = 18
"""Longer captions are not taken as examples: an answer has at most about 20 words."""

_SINGULAR = {form: NOUNS.get(kind, (kind,))[0] for kind in KINDS for form in NOUNS.get(kind, (kind, kind + "s"))}
_NUMBER = "|".join(("an?", *NUMBERS[1:]))
_THING = re.compile(rf"\b({_NUMBER}) ((?:(?:{'|'.join(COLOURS)}) )?)({'|'.join(sorted(_SINGULAR, key=len)[::-1])})\b")
_PLACE = re.compile(
    r"\b(meadow|desert|forest|snowfield|lake|town|(?:open|high|in the) sky|underground|layers of earth)\b"
)
_NOUNS = tuple(wording[0] for wordings in PLACES.values() for wording in wordings)
_PLACE_NAMES = {"open sky": SKY, "high sky": SKY, "in the sky": SKY, "layers of earth": UNDERGROUND}
_LEAD_IN = re.compile(r"^(?:a (?:quiet )?view of|there is|just) ")
_POSITION = re.compile(r" (?:on the left|on the right|in the middle)\b")
_ATTRIBUTES = re.compile(
    " (?:"
    + "|".join(
        [*(p for pair in TIME_PHRASES.values() for p in pair), *WEATHER_PHRASES.values(), "with mountains behind"]
    )
    + r")\b"
)


@dataclass(frozen=True)
class Local:
    """A local caption, taken apart."""

    text: str
    """Without positions, commas and global attributes."""
    places: tuple[str, ...]
    """Places it names, keys of ``PLACES``, from left to right; empty in a caption of another world."""
    things: tuple[str, ...]
    """Things it names without their number, such as ``red barn``."""
    phrases: tuple[str, ...]
    """The same with their number, such as ``two red barns``."""


@lru_cache(maxsize=1 << 18)
def read_local(caption: str) -> Local:
    """Take a caption in the annotators' words apart."""
    text = _LEAD_IN.sub("", _POSITION.sub("", _ATTRIBUTES.sub("", caption)))
    text = text.replace(": ", " with ").replace(", ", " and ")
    names = dict.fromkeys(_PLACE_NAMES.get(name, name) for name in _PLACE.findall(text))
    found = [(match[0], match[2] + _SINGULAR[match[3]]) for match in _THING.finditer(text)]
    return Local(text, tuple(names), tuple(thing for _, thing in found), tuple(phrase for phrase, _ in found))


def things_in(texts: Iterable[str]) -> set[str]:
    """Things that texts name, without their number."""
    return {match[2] + _SINGULAR[match[3]] for text in texts for match in _THING.finditer(text)}


def annotated(count: int, *, seed: int = 0, held_out: bool = False) -> list[list[str]]:
    """Five annotated captions of each of the windows ``0 .. count - 1`` of a sample, as ``corpus.Corpus`` has them."""
    places = (random_place(index, seed=seed, held_out=held_out) for index in range(count))
    return [annotate(place.facts(), index) for index, place in enumerate(places)]


class Places:
    """What captions say of places, for drawing others from.

    A thing is at home in the place that single-place captions name it with most often; captions with a thing away from
    home (seen across a border) are left out, and so are those that name one thing twice.

    Attributes:
        every: all the captions.
        single: those of one place, by the place.
        opening: the same, by whether the place comes before the things in it.
    """

    def __init__(self, windows: Iterable[Iterable[str]]) -> None:
        locals_ = list({local.text: local for captions in windows for c in captions if (local := _local(c))}.values())
        homes = _homes(locals_)
        self.every = [
            local
            for local in locals_
            if all(homes.get(thing) in local.places for thing in local.things)
            and len(set(local.things)) == len(local.things)
        ]
        self.single: dict[str, list[Local]] = defaultdict(list)
        self.opening: dict[bool, list[Local]] = defaultdict(list)
        for local in self.every:
            if len(local.places) == 1:
                self.single[local.places[0]].append(local)
                self.opening[local.text.startswith(_NOUNS)].append(local)


def _homes(locals_: Iterable[Local]) -> dict[str, str]:
    """The place of every thing."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for local in locals_:
        if len(local.places) == 1:
            for thing in local.things:
                counts[thing][local.places[0]] += 1
    return {thing: places.most_common(1)[0][0] for thing, places in counts.items()}


def _local(caption: str) -> Local | None:
    """A caption of a place alone; None if it names a global attribute, no place, or is long."""
    scene = read_scene(caption)
    if scene.time is not None or scene.weather is not None or scene.mountains is not None:
        return None
    local = read_local(caption)
    return local if local.places and len(local.text.split()) <= MAX_WORDS else None
