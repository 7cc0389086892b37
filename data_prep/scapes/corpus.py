"""Training windows in memory with their facts and captions: what every script but the autoencoder's learns from."""

from concurrent.futures import ProcessPoolExecutor
from operator import methodcaller
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_prep.scapes.captions import annotate, global_caption
from data_prep.scapes.windows import rendered_windows
from data_prep.scapes.world import Facts
from lit_outpaint.system.threads import usable_processors


def pixel_values(windows: np.ndarray | Tensor) -> Tensor:
    """uint8 ``(B, H, W, 3)`` to float ``(B, 3, H, W)`` in [-1, 1], channels_last in memory, where they are."""
    # A copy: memory maps are read-only, and torch warns of that.
    pixels = torch.tensor(windows) if isinstance(windows, np.ndarray) else windows
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


class Corpus:
    """Windows ``0 .. count - 1`` of a sample, and six captions of each: five annotated ones and a global one.

    Attributes:
        name: of the file of windows, without its ending.
        windows: uint8 ``(count, 128, 128, 3)``, a memory map.
        places: where each window was cut, or how it was staged.

    Facts and captions are worked out when a window is first asked for: a short training sees few of many windows.
    """

    def __init__(
        self, work: Path, count: int, *, seed: int = 0, held_out: bool = False, staged_share: float = 0.0
    ) -> None:
        self.name = ("heldout" if held_out else "windows") + (f"-staged{staged_share:g}" if staged_share else "")
        self.windows, self.places = rendered_windows(
            work / f"{self.name}.npy", count, seed=seed, held_out=held_out, staged_share=staged_share
        )
        self._facts: dict[int, Facts] = {}
        self._captions: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return len(self.places)

    def pixel_values(self, indices: np.ndarray) -> Tensor:
        """Pictures of some windows, ``(B, 3, 128, 128)`` in [-1, 1]."""
        return pixel_values(self.windows[indices])

    def facts(self, index: int) -> Facts:
        """What is true of a window."""
        if index not in self._facts:
            self._facts[index] = self.places[index].facts()
        return self._facts[index]

    def captions(self, index: int) -> list[str]:
        """Five annotated captions of a window, then the global caption of the window itself."""
        if index not in self._captions:
            facts = self.facts(index)
            self._captions[index] = [*annotate(facts, index), global_caption(facts)]
        return self._captions[index]

    def look_at_all(self) -> None:
        """Work out what is true of all windows beforehand, on all cores."""
        with ProcessPoolExecutor(usable_processors()) as pool:
            self._facts = dict(enumerate(pool.map(methodcaller("facts"), self.places, chunksize=256)))

    def random_captions(self, indices: np.ndarray, rng: np.random.Generator) -> list[str]:
        """One of the six captions of each window."""
        return [self.captions(int(i))[rng.integers(6)] for i in indices]
