"""Paragraphs of 40 to 140 words about a window, in many wordings and any order: dense prompts are learnt from them.

``captions.dense`` says the same in one order and one wording. Who learnt from it alone would know its order alone.
"""

import random

from data_prep.scapes.captions import NAMED_SHARE, PLACES, TIME_PHRASES, noun_phrase
from data_prep.scapes.world import WINDOW, Facts, SeenObject

MIN_WORDS = 40

_OPENINGS = (
    "This picture shows {place}, drawn with large flat shapes and calm colours.",
    "A wide and quiet view of {place} lies before us, made of simple shapes.",
    "Here is {place}, seen from some way off in clear flat colours.",
    "The scene is that of {place}.",
)
_TIMES = (
    "The scene is set {time}.",
    "All of it is seen {time}.",
    "It is a view {time}, with the colours of the hour.",
    "Everything is painted as it looks {time}.",
)
_WEATHERS = {
    "clear": (
        "There is not a cloud in the sky.",
        "Everything stands under a clear sky.",
        "The sky is clear from one side to the other.",
    ),
    "cloudy": (
        "Puffy clouds drift through the sky.",
        "Everything stands under a cloudy sky.",
        "The sky is cloudy, and the clouds are soft.",
    ),
}
_MOUNTAINS = {
    True: (
        "In the distance a chain of mountains rises behind the horizon.",
        "Far away stand mountains.",
        "There are mountains behind it all.",
    ),
    False: (
        "The horizon is low and open.",
        "There are no mountains to be seen.",
        "Nothing rises behind the horizon, which is without mountains.",
    ),
}
_GROUNDS = (
    "{Place} covers {extent} the ground.",
    "{extent} the ground is {place}.",
    "One sees {place} over {extent} the ground.",
)
_THINGS = (
    "{Thing} can be seen {side}{row}.",
    "There is {thing} {side}{row}.",
    "{Side}{row} stands {thing}.",
    "{Side}, one finds {thing}{row}.",
    "{Thing} is {side}{row}.",
)
_ROWS = {
    "up": ("", ", in the upper part of the view", ", high up", ", high up in the sky"),
    "down": ("", ", in the lower part of the view", ", further down", ", on the ground"),
}
_EMPTY = ("No single thing draws the eye.", "The view is empty, and nothing stands in it.")
_FILLERS = (
    "Nothing else is in sight, and every shape has a clean edge.",
    "The light is even all over the view.",
    "The whole is calm, and no line is out of place.",
    "One would like to stay and look at it for a while.",
    "Each shape is plain, and the colours lie beside each other without any shading or noise.",
)


def paragraph(facts: Facts, seed: int) -> str:
    """Everything in a window with its side, in an order and in words that follow from the seed."""
    rng = random.Random(f"paragraph {seed}")
    grounds = [biome for biome, share in facts.biomes.items() if share >= NAMED_SHARE]
    if not grounds:
        grounds = ["sky" if facts.time else "underground"]
    opening = rng.choice(_OPENINGS).format(place=" and ".join(rng.choice(PLACES[ground])[0] for ground in grounds))
    sentences = [_thing(thing, facts, rng) for thing in facts.objects[:5]] or [rng.choice(_EMPTY)]
    if facts.time:
        sentences.append(rng.choice(_TIMES).format(time=rng.choice(TIME_PHRASES[facts.time])))
    if facts.weather:
        sentences.append(rng.choice(_WEATHERS[facts.weather]))
    if facts.mountains is not None:
        sentences.append(rng.choice(_MOUNTAINS[facts.mountains]))
    sentences += [_ground(biome, share, rng) for biome, share in facts.biomes.items() if rng.random() < share]
    rng.shuffle(sentences)
    fillers = rng.sample(_FILLERS, len(_FILLERS))
    while fillers and (len(" ".join([opening, *sentences]).split()) < MIN_WORDS or rng.random() < 0.3):
        sentences.insert(rng.randrange(len(sentences) + 1), fillers.pop())
    return " ".join([opening, *sentences])


def _thing(thing: SeenObject, facts: Facts, rng: random.Random) -> str:
    name = noun_phrase(SeenObject(thing.kind, thing.colour, 0, 0), 1)
    third = thing.x / WINDOW
    side = "on the left" if third < 0.36 else "on the right" if third > 0.64 else "in the middle"
    # Rows are told where there is a sky and a ground to tell them apart.
    row = rng.choice(_ROWS["up" if thing.y < WINDOW * 0.4 else "down"]) if facts.time and facts.biomes else ""
    words = {"thing": name, "Thing": name.capitalize(), "side": side, "Side": side.capitalize(), "row": row}
    return rng.choice(_THINGS).format(**words)


def _ground(biome: str, share: float, rng: random.Random) -> str:
    extent = "all of" if share > 0.95 else "most of" if share > 0.6 else "a part of"
    place = rng.choice(PLACES[biome])[0]
    text = rng.choice(_GROUNDS).format(place=place, Place=place.capitalize(), extent=extent)
    return text[0].upper() + text[1:]
