"""``python -m data_prep rectangles``: first windows and captions of wide canvases, to be laid out and counted.

A caption names every thing that is to stand on the canvas, with counts, and the window shows the first place of the
caption with all of that place's things; so the truth is the caption itself.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from data_prep.config import at_least
from data_prep.scapes.captions import PLACES, joined, noun_phrase
from data_prep.scapes.casting import a_colour
from data_prep.scapes.compbench.wording import attributes
from data_prep.scapes.palette import BIOME_KINDS, BIOMES, UNDERGROUND_KINDS
from data_prep.scapes.staging import Scene, Seen, stage
from data_prep.scapes.world import SeenObject
from lit_outpaint.system.files import written_whole

CAPTIONS_NAME: Final = "captions.jsonl"
"""Captions of the windows, as ``outpaint --captions_from`` reads them."""
_NUM_PLACES: Final = 3
_MOST: Final = {"image": 2, "place": 3, "sky": 3, "ground": 2}
"""Most things of the first place, of each other one, in the sky and underground."""


@dataclass(frozen=True, kw_only=True)
class RectanglesConfig:
    """How many canvases are described."""

    out: Path
    """Directory to write: windows, NNNN.png each, and captions.jsonl."""
    count: int = 16
    """How many; fewer are the first of more."""
    seed: int = 0
    """Decides which; the same seed gives the same bytes."""

    def __post_init__(self) -> None:
        at_least(self, 1, "count")
        at_least(self, 0, "seed")


def write_rectangles(config: RectanglesConfig) -> int:
    """Write the windows, then their captions.

    Returns:
        How many there are.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(config.count):
        scene, caption, _ = rectangle(config.seed, number)
        name = f"{number:04d}.png"
        with written_whole(config.out / name) as draft:
            Image.fromarray(scene.render()).save(draft, format="PNG")
        lines.append(json.dumps({"image": name, "caption": caption}))
    with written_whole(config.out / CAPTIONS_NAME) as draft:
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config.count


def rectangle(seed: int, number: int) -> tuple[Scene, str, list[Seen]]:
    """The first window of a canvas, its caption, and all things that the caption names."""
    rng = random.Random(f"{seed}/rectangle/{number}")
    biomes = rng.sample(BIOMES, _NUM_PLACES)
    places = [_things(rng, BIOME_KINDS[biome], _MOST["place" if at else "image"], 1) for at, biome in enumerate(biomes)]
    sky = _things(rng, ("balloon",), _MOST["sky"], 0)
    ground = _things(rng, UNDERGROUND_KINDS, _MOST["ground"], 0)
    scene = stage(rng, "surface", places[0])
    surface = [
        f"{PLACES[biome][0][0]} with {joined(_phrases(things))}" for biome, things in zip(biomes, places, strict=True)
    ]
    text = f"a wide view {attributes(rng, scene, ['time', 'weather'])}: {', '.join(surface[:-1])}, and {surface[-1]}"
    off = [f"{joined(_phrases(sky))} in the open sky"] if sky else []
    off += [f"{joined(_phrases(ground))} underground"] if ground else []
    text += f", with {joined(off)}" if off else ""
    return scene, text, [thing for things in (*places, sky, ground) for thing in things]


def _things(rng: random.Random, kinds: tuple[str, ...], most: int, least: int) -> list[Seen]:
    chosen = [rng.choice(kinds) for _ in range(rng.randint(least, most))]
    return [Seen(kind, a_colour(rng, kind)) for kind in sorted(chosen)]


def _phrases(things: list[Seen]) -> list[str]:
    """``two red barns``, ``a windmill``: each kind and colour once, with its count."""
    counts: dict[tuple[str, str | None], int] = {}
    for thing in things:
        counts[thing.kind, thing.colour] = counts.get((thing.kind, thing.colour), 0) + 1
    return [noun_phrase(SeenObject(kind, colour, 0, 0), count) for (kind, colour), count in counts.items()]
