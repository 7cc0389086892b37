"""Dense prompts by rules: what a short caption says, spread over sentences, with nothing added that it could deny."""

from __future__ import annotations

import random
from typing import Final

from lit_outpaint.captions.objects import noun_phrases
from lit_outpaint.captions.scene import elements, read_scene

RULES: Final = "rules"
"""Name of the writer."""

_MOST_THINGS: Final = 8
_SIDES: Final = ("on the left", "in the middle", "on the right")
_OPENINGS: Final = (
    "This picture shows {place}.",
    "We look at {place} from some way off.",
    "The view is that of {place}.",
)
_WIDE: Final = "This is a wide view in which several places lie beside each other."
_THINGS: Final = ("{Side} one sees {thing}.", "One makes out {thing} {side}.", "{Thing} can be seen {side}.")
_SCENES: Final = ("The whole scene is {what}.", "All of it is seen {what}.", "Everything is seen {what}.")
_MOUNTAINS: Final = {
    True: "In the distance mountains rise behind the horizon.",
    False: "Nothing rises behind the horizon, which is without mountains.",
}
_FILLERS: Final = (
    "Nothing hides any part of it, and every shape has a clean edge.",
    "The light is even all over the view, from one side to the other.",
    "No single line is out of place, and the whole of it is quiet and still.",
    "The colours are calm and lie beside each other without any noise.",
    "One could look at it for a long time without growing tired of it.",
    "Nearer things are drawn as carefully as those that are far away.",
    "It is the kind of view that one remembers long after having left it.",
    "The picture has no frame, and one can guess how it continues beyond its edges.",
    "There is room between all that it shows, so that each part can be made out by itself.",
    "Whoever stands before it takes in the whole at a glance and the details one after the other.",
    "It was painted without haste, and nothing in it was left unfinished.",
)
"""True of any picture, as far as anybody could tell."""


def dense_by_rules(caption: str, *, seed: int = 0, least_words: int = 40, most_words: int = 140) -> str:
    """Describe at length what a caption says; the order and the wording follow from the seed.

    Args:
        caption: what the picture shows.
        seed: of order and wording, together with the caption.
        least_words: fewest words.
        most_words: most words; what stands last is left out first.

    Raises:
        ValueError: the caption holds no word, or the rules cannot write so many words about it.
    """
    rng = random.Random(f"dense {seed} {caption}")
    scene, places = read_scene(caption), elements(caption)
    several = len(places) > 1
    opening = _WIDE if several else rng.choice(_OPENINGS).format(place=places[0])
    things = (places if several else noun_phrases(caption))[:_MOST_THINGS]
    told = [_thing(rng, thing, number, len(things)) for number, thing in enumerate(things)]
    told += [rng.choice(_SCENES).format(what=what) for what in (scene.time, scene.weather) if what]
    told += [] if scene.mountains is None else [_MOUNTAINS[scene.mountains]]
    sentences = [opening, *rng.sample(told, len(told))]
    fillers = rng.sample(_FILLERS, len(_FILLERS))
    while fillers and _length(sentences) < least_words:
        sentences.append(fillers.pop())
    if _length(sentences) < least_words:
        raise ValueError(f"rules write {_length(sentences)} words about {caption[:80]!r} at most, not {least_words}")
    while _length(sentences) > most_words and _length(sentences[:-1]) >= least_words:
        sentences.pop()
    words = " ".join(sentences).split()
    return " ".join(words) if len(words) <= most_words else " ".join(words[:most_words]).rstrip(".,") + "."


def _thing(rng: random.Random, thing: str, number: int, count: int) -> str:
    side = _SIDES[1 if count == 1 else round(2 * number / (count - 1))]
    words = {"thing": thing, "Thing": thing[0].upper() + thing[1:], "side": side, "Side": side.capitalize()}
    return rng.choice(_THINGS).format(**words)


def _length(sentences: list[str]) -> int:
    return len(" ".join(sentences).split())
