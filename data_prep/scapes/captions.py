"""Exact captions of scapes windows: five short ones as annotators write them, a global one and a dense one.

All follow from ``Facts`` and a seed, so a caption can be judged as strictly as a picture. Of the five annotated
captions one names time, weather and mountains; the others leave them out, as most people do.
"""

import random
from collections.abc import Sequence

from data_prep.scapes.palette import BIOME_KINDS, SKY_KINDS, UNDERGROUND_KINDS
from data_prep.scapes.world import WINDOW, Facts, SeenObject

NOUNS: dict[str, tuple[str, str]] = {
    "pine": ("pine tree", "pine trees"),
    "cactus": ("cactus", "cactuses"),
    "star": ("pair of stars", "pairs of stars"),
}
"""Singular and plural where they are not the kind's name and an s."""

PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "meadow": (("a meadow", "in a meadow"), ("a green meadow", "on the grass of a meadow")),
    "desert": (("a desert", "in the desert"), ("a sandy desert", "on the sand of a desert")),
    "forest": (("a forest", "in a forest"), ("a dark forest", "on a forest floor")),
    "snowfield": (("a snowfield", "in a snowfield"), ("a white snowfield", "on the snow of a snowfield")),
    "lake": (("a lake", "on a lake"), ("a blue lake", "on the water of a lake")),
    "town": (("a town", "in a town"), ("a grey town", "on a street of a town")),
    "sky": (("the open sky", "in the open sky"), ("the high sky", "high up in the sky")),
    "underground": (("the rock underground", "underground"), ("layers of earth", "buried underground")),
}
"""Two wordings of every place: as a noun, and as where something is."""

TIME_PHRASES: dict[str, tuple[str, str]] = {
    "dawn": ("at dawn", "at sunrise"),
    "day": ("by day", "in daylight"),
    "dusk": ("at dusk", "at sunset"),
    "night": ("at night", "in the night"),
}
WEATHER_PHRASES = {"clear": "under a clear sky", "cloudy": "under a cloudy sky"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

OFF_SURFACE: dict[str, tuple[str, ...]] = {"sky": (*SKY_KINDS, "star"), "underground": UNDERGROUND_KINDS}
"""Places above and below the biomes, and what is found there."""

NAMED_SHARE = 0.2
"""A biome is named when it covers at least this share of the surface."""


def annotate(facts: Facts, seed: int) -> list[str]:
    """Five differently worded local captions of a window, in random order; exactly one names the global attributes."""
    rng = random.Random(f"annotate {seed}")
    things, wording = _phrases(facts.objects), rng.randrange(2)
    place, where = _place(facts, wording)
    listed = joined(things) if things else "nothing else"
    captions = [
        f"{listed} {where}" if things else f"an empty view of {place}",
        f"{place} with {joined(_positioned(facts.objects))}" if things else f"{place} with nothing in it",
        f"{listed} {where} {_attributes(facts, wording)}" if things else f"{place} {_attributes(facts, wording)}",
        f"a view of {place}: {joined(list(reversed(things)))}" if things else f"a quiet view of {place}",
        f"there is {rng.choice(things)} {where}" if things else f"just {place}",
    ]
    rng.shuffle(captions)
    return [" ".join(caption.split()) for caption in captions]


def local_caption(facts: Facts) -> str:
    """The one full local caption used as ground truth in evaluation: every object, every place, no global attribute."""
    things = _phrases(facts.objects)
    place, where = _place(facts, 0)
    return f"{joined(things)} {where}" if things else f"an empty view of {place}"


def global_caption(stretch: Facts) -> str:
    """One sentence for a wide stretch: time, weather, mountains, then its places in order with some of their things.

    Places are the biomes, then, where things float above them or lie below, the sky and the rock underground: a stretch
    that is high speaks of these as one that is wide speaks of biomes.
    """
    kinds_of = {biome: BIOME_KINDS[biome] for biome in list(dict.fromkeys(_named_biomes(stretch, share=0.05)))[:4]}
    scenes = []
    for place, kinds in {**kinds_of, **OFF_SURFACE}.items():
        things = _phrases([o for o in stretch.objects if o.kind in kinds])[:2]
        if things or place in kinds_of:
            scenes.append(PLACES[place][0][0] + (f" with {joined(things)}" if things else ""))
    if not kinds_of:
        place, things = _place(stretch, 0)[0], _phrases(stretch.objects)[:3]
        scenes = [place + (f" with {joined(things)}" if things else "")]
    return f"a wide view {_attributes(stretch, 0)}: {joined(scenes)}".replace("view :", "view:")


def dense(facts: Facts, seed: int) -> str:
    """A paragraph of 40 to 140 words that names everything in the window, with positions."""
    rng = random.Random(f"dense {seed}")
    place = _place(facts, rng.randrange(2))[0]
    sentences = [f"This picture shows {place}, drawn with large flat shapes and calm colours."]
    if facts.time:
        weather = (
            "puffy clouds drift through the sky" if facts.weather == "cloudy" else "there is not a cloud in the sky"
        )
        sentences.append(f"The scene is set {TIME_PHRASES[facts.time][rng.randrange(2)]}, and {weather}.")
    if facts.mountains is not None:
        far = "a chain of mountains rises behind the horizon" if facts.mountains else "the horizon is low and open"
        sentences.append(f"In the distance {far}.")
    for biome, share in facts.biomes.items():
        if share >= NAMED_SHARE:
            extent = "all of" if share > 0.95 else "most of" if share > 0.6 else "a part of"
            sentences.append(f"{PLACES[biome][0][0].capitalize()} covers {extent} the ground.")
    for thing in facts.objects[:4]:
        height = "in the upper part" if thing.y < WINDOW * 0.4 else "in the lower part"
        sentences.append(f"{noun_phrase(thing, 1).capitalize()} can be seen {_position(thing)}, {height} of the view.")
    if not facts.objects:
        sentences.append("No single thing draws the eye, and the view is empty from one side to the other.")
    closing = "Nothing else is in sight, every shape has a clean edge, and the light is even all over the view."
    return " ".join([*sentences, closing])


def _attributes(facts: Facts, wording: int) -> str:
    parts = [TIME_PHRASES[facts.time][wording] if facts.time else "", WEATHER_PHRASES.get(facts.weather or "", "")]
    return " ".join([p for p in parts if p] + (["with mountains behind"] if facts.mountains else []))


def _named_biomes(facts: Facts, share: float = NAMED_SHARE) -> list[str]:
    return [biome for biome, part in facts.biomes.items() if part >= share]


def _place(facts: Facts, wording: int) -> tuple[str, str]:
    """The place as a noun and as a location; two biomes are named from left to right."""
    biomes = _named_biomes(facts)
    if not biomes:
        return PLACES["sky" if facts.time else "underground"][wording]
    nouns = [PLACES[biome][wording][0] for biome in biomes]
    if len(nouns) == 1:
        return PLACES[biomes[0]][wording]
    noun = f"{nouns[0]} on the left and {nouns[1]} on the right" if len(nouns) == 2 else joined(nouns)
    return noun, f"between {nouns[0]} on the left and {nouns[-1]} on the right"


def _phrases(objects: Sequence[SeenObject]) -> list[str]:
    """Objects grouped by kind and colour, in order of first appearance: ``["two red barns", "a cactus"]``."""
    counts: dict[tuple[str, str | None], int] = {}
    for thing in objects:
        counts[thing.kind, thing.colour] = counts.get((thing.kind, thing.colour), 0) + 1
    return [noun_phrase(SeenObject(kind, colour, 0, 0), n) for (kind, colour), n in counts.items()]


def _positioned(objects: Sequence[SeenObject]) -> list[str]:
    return [f"{noun_phrase(thing, 1)} {_position(thing)}" for thing in objects[:3]]


def _position(thing: SeenObject) -> str:
    third = thing.x / WINDOW
    return "on the left" if third < 0.36 else "on the right" if third > 0.64 else "in the middle"


def noun_phrase(thing: SeenObject, count: int) -> str:
    """One thing with its article, or several of it: ``a red barn``, ``two red barns``."""
    singular, plural = NOUNS.get(thing.kind, (thing.kind, thing.kind + "s"))
    words = f"{thing.colour} " if thing.colour else ""
    if count > 1:
        return f"{NUMBERS[min(count, len(NUMBERS) - 1)]} {words}{plural}"
    article = "an" if (words + singular)[0] in "aeiou" else "a"
    return f"{article} {words}{singular}"


def joined(phrases: Sequence[str]) -> str:
    """Phrases as a list in prose: ``a barn, a tent and a cactus``; empty for none."""
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1] if phrases else ""
