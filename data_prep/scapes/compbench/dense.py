"""The dense category: 40 to 140 words about everything in a scene, things in any sentence, the last ones too."""

import random
from typing import Final

from data_prep.scapes.captions import PLACES, TIME_PHRASES
from data_prep.scapes.casting import Layout, cast
from data_prep.scapes.compbench.made import Made, biomes, colours, present
from data_prep.scapes.compbench.scenes import scene_atoms
from data_prep.scapes.compbench.wording import named
from data_prep.scapes.staging import VIEWS, Scene, Seen, stage
from data_prep.scapes.world import WINDOW
from lit_outpaint.data.prompts import Side, SideAtom, Thing

MIN_WORDS, MAX_WORDS = 40, 140

_LAYOUTS: Final = (
    Layout("surface", (2,)),
    Layout("surface", (3,)),
    Layout("surface", (3,)),
    Layout("sky and surface", (1, 2)),
    Layout("sky and surface", (1, 2)),
)

_LEADS: Final = (
    "This picture shows {place}, drawn with large flat shapes and calm colours.",
    "We look at {place} from some way off, and everything in it is plain to see.",
    "The view is that of {place}, painted in a few clean tones.",
)
_TIMES: Final = ("The scene is set {time}.", "It is a view {time}, and all colours are those of the hour.")
_WEATHERS: Final = {
    "clear": ("There is not a cloud in the sky.", "All of it lies under a clear sky."),
    "cloudy": ("Puffy clouds drift through the sky.", "All of it lies under a cloudy sky."),
}
_MOUNTAINS: Final = {
    True: ("In the distance a chain of mountains rises behind the horizon.", "There are mountains behind."),
    False: ("The horizon is low and open, without mountains.", "There are no mountains behind."),
}
_THINGS: Final = ("There is {thing} {side}{row}.", "{Thing} can be seen {side}{row}.", "{Side}{row} stands {thing}.")
_SIDES: Final[dict[Side, str]] = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
_FILLERS: Final = (
    "Nothing else is in sight, and every shape has a clean edge.",
    "The light is even all over the view, from one side to the other.",
    "No single line is out of place, and the whole of it is quiet and still.",
    "One could look at it for a long time without growing tired of it.",
)


def dense(rng: random.Random, number: int) -> list[Made]:
    """Everything in a scene: things with colours and sides, time, weather, mountains and ground."""
    layout = _LAYOUTS[number % len(_LAYOUTS)]
    scene = stage(rng, layout.view, cast(rng, layout))
    told: list[Thing] = [Thing(kind=thing.kind, colour=thing.colour) for thing in scene.things]
    sides = [_side(x) for x, _ in scene.places]
    lead = rng.choice(_LEADS).format(place=" and ".join(rng.choice(PLACES[biome])[0] for biome in scene.biomes))
    sentences = [
        rng.choice(_TIMES).format(time=rng.choice(TIME_PHRASES[scene.time])),
        rng.choice(_WEATHERS[scene.weather]),
        rng.choice(_MOUNTAINS[scene.mountains]),
        *(_thing(rng, scene, thing, side) for thing, side in zip(scene.things, sides, strict=True)),
    ]
    rng.shuffle(sentences)
    fillers = rng.sample(_FILLERS, len(_FILLERS))
    while len(" ".join([lead, *sentences]).split()) < MIN_WORDS or (rng.random() < 0.3 and fillers):
        sentences.insert(rng.randrange(len(sentences) + 1), fillers.pop())
    atoms = (
        *present(scene.things),
        *colours(scene.things),
        *(SideAtom(thing=Thing(kind=thing.kind), side=side) for thing, side in zip(told, sides, strict=True)),
        *scene_atoms(scene, ("time", "weather", "mountains")),
        *biomes(scene.things),
    )
    return [Made(" ".join([lead, *sentences]), atoms, scene)]


def _thing(rng: random.Random, scene: Scene, thing: Seen, side: Side) -> str:
    name, where = named(thing.kind, thing.colour), _SIDES[side]
    rows = VIEWS[scene.view].rows
    row = "" if len(rows) < 2 else (", high up in the sky", ", on the ground")[thing.row]
    return rng.choice(_THINGS).format(thing=name, Thing=name.capitalize(), side=where, Side=where.capitalize(), row=row)


def _side(x: float) -> Side:
    """The side that captions give a thing at ``x``."""
    share = x / WINDOW
    return "left" if share < 0.36 else "right" if share > 0.64 else "middle"
