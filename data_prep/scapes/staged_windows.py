"""Windows that are put together, so that a model sees more things side by side than the world shows by itself.

In the world two things stand whole in a window and hardly ever three: they keep a distance of half a window. A model
that never saw three in a row leaves out the middle one, whatever it is told. Staged windows obey the world's laws
(`data_prep.scapes.staging`), and their facts and captions are made as those of any window.
"""

import random
from dataclasses import dataclass

import numpy as np

from data_prep.scapes.casting import LAYOUTS, cast
from data_prep.scapes.staging import VIEWS, Scene, stage
from data_prep.scapes.world import Facts


@dataclass(frozen=True)
class StagedPlace:
    """A window of one to four things, by its number and the seed of its sample."""

    seed: int
    index: int

    def render(self) -> np.ndarray:
        """The picture, uint8 ``(128, 128, 3)``."""
        return self._scene().render()

    def facts(self) -> Facts:
        """What is true of the window."""
        scene = self._scene()
        return scene.world().facts(0, VIEWS[scene.view].y)

    def _scene(self) -> Scene:
        rng = random.Random(f"staged window {self.seed} {self.index}")
        # More things are harder to draw: two, three and four come twice as often as one.
        layout = rng.choice(LAYOUTS[rng.choice((1, 2, 2, 3, 3, 4, 4))])
        return stage(rng, layout.view, cast(rng, layout))
