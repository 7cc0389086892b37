"""Prompts for one step of outpainting: all that a scene shows stands in the new strip.

The prompt is the local caption of the step, and true of the whole window after it, because nothing stands in the known
half. A strip is half a window wide, so it takes either one row of things side by side (the window grows up into the sky
or down to the surface or under it) or one thing of each row, one above the other (it grows to the left or right).
Scenes with more are not asked for.
"""

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from data_prep.scapes.captions import global_caption
from data_prep.scapes.compbench.made import Made
from data_prep.scapes.objects import HEIGHT
from data_prep.scapes.staging import VIEWS, Scene
from data_prep.scapes.world import WINDOW
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.data.prompts import Step

STRIDE: Final = WINDOW // 2
"""Width of the new strip, px: what a step adds by default."""

_SWAY: Final = 6.0
"""How far a thing stands from the middle of an upright strip at most, px."""
_AWAY: Final[dict[Direction, tuple[int, int]]] = {"left": (1, 0), "right": (-1, 0), "up": (0, 1), "down": (0, -1)}
"""From the window after a step back to the one before it."""


@dataclass(frozen=True, kw_only=True)
class StepScene:
    """What a step is to draw, and what is known before it."""

    scene: Scene
    """The world around."""
    direction: Direction
    """Side that grows."""
    y: int
    """Upper edge of the window after the step, world px; its left edge is 0."""

    def render(self) -> np.ndarray:
        """The true window after the step, uint8 ``(128, 128, 3)``."""
        return self.scene.world().render(0, self.y)

    def render_known(self) -> np.ndarray:
        """The window before the step, of the same size."""
        return self.scene.world().render(*self._known())

    def step(self) -> Step:
        """What a prompt file says of it."""
        return Step(
            direction=self.direction,
            stride_px=STRIDE,
            global_caption=global_caption(self.scene.world().facts(*self._known())),
        )

    def _known(self) -> tuple[int, int]:
        across, along = _AWAY[self.direction]
        return across * STRIDE, self.y + along * STRIDE


def as_step(rng: random.Random, made: Made) -> tuple[Made, StepScene] | None:
    """A prompt for a whole picture as one for a step; None where its things do not fit into a strip.

    Args:
        rng: draws direction and place.
        made: the prompt. Its weather is not asked for in a strip that shows too little sky for clouds.
    """
    scene = made.scene
    rows = VIEWS[scene.view].rows
    counts = Counter(thing.row for thing in scene.things)
    layer = rows[min(counts)].layer if len(counts) == 1 else None
    ways: list[Direction] = ["left", "right"] if max(counts.values(), default=0) <= 1 else []
    if layer == "sky":
        ways = ["up"]
    elif layer is not None and (len(scene.things) < 3 or len(scene.biomes) < 2):
        ways.append("down")  # Of three things on two grounds one is alone on its own, too little to be read in a strip.
    if not ways:
        return None
    direction = rng.choice(ways)
    if direction in ("left", "right"):
        middle = STRIDE // 2 + (STRIDE if direction == "right" else 0)
        scene = replace(scene, places=tuple((middle + rng.uniform(-_SWAY, _SWAY), y) for _, y in scene.places))
        return made._replace(scene=scene), StepScene(scene=scene, direction=direction, y=VIEWS[scene.view].y)
    margin = (STRIDE - int(HEIGHT)) // 2
    top = int(rows[min(counts)].foot) - int(HEIGHT) - margin
    y = top if direction == "up" else top - (WINDOW - STRIDE)
    atoms = tuple(atom for atom in made.atoms if atom.type != "weather")
    return made._replace(atoms=atoms), StepScene(scene=scene, direction=direction, y=y)
