"""What is to be seen in a window of scapes: the words of a reading, and the thresholds they depend on. Free of torch.

Definitions (all shares are of label-map pixels; a view is a whole window or the new strip of it):

- **time**: the most frequent of the sky classes dawn, day, dusk, night in the view; none of them: unknown.
- **weather**: ``cloudy`` when clouds take at least ``cloud_share`` of the sky pixels (times of day + cloud), else
  ``clear``; no sky pixels: unknown.
- **mountains**: seen when mountains take at least ``mountain_share`` of all pixels of the view.
- **biomes**: the share of each biome among the ground pixels (pixels with a biome class).
- **objects**: a kind is seen when at least ``min_object_px`` pixels of the view carry it. It comes in connected pieces
  of at least ``min_object_px`` pixels. The colour of a piece is the most frequent one of its coloured pixels, or none
  when fewer than ``min_colour_share`` of them are coloured. Pieces, because two barns may differ in colour.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Thresholds of the readings, calibrated on real held-out windows, never on generated ones."""

    min_object_px: int = 16
    """Label-map pixels (of 64 x 64 for a window of 128 px) that make an object kind seen."""
    cloud_share: float = 0.03
    """Share of clouds among the sky pixels from which on a view is cloudy."""
    mountain_share: float = 0.01
    """Share of mountains among all pixels from which on a view has mountains."""
    min_colour_share: float = 0.1
    """Share of coloured pixels below which a piece of an object has no colour."""
    min_biome_share: float = 0.35
    """A view obeys its biome when its dominant biome has at least this share in the truth."""
    unread_kinds: tuple[str, ...] = ("bird", "star")
    """Object kinds that the probe does not read in true windows, so that nothing is asked of them. Of the kinds in 192
    true windows of panoramas that grow up it saw 0 of 67 birds and 0 of 14 stars (it takes them for fossils and igloos:
    they float above the surface, where few of its training windows lay), and all 61 balloons."""

    def __post_init__(self) -> None:
        if self.min_object_px < 1:
            raise ValueError(f"min_object_px must be at least 1, got {self.min_object_px}")
        for name in ("cloud_share", "mountain_share", "min_colour_share", "min_biome_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], got {getattr(self, name)}")


class ClassNames(NamedTuple):
    """Names of the classes by index; index 0 of each is ``none``."""

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    biomes: tuple[str, ...]
    skies: tuple[str, ...]


class LabelMaps(NamedTuple):
    """Class index of every pixel, ``(h, w)`` each."""

    kind: NDArray[np.integer]
    colour: NDArray[np.integer]
    biome: NDArray[np.integer]
    sky: NDArray[np.integer]


class Piece(NamedTuple):
    """A connected piece of one object kind."""

    kind: str
    colour: str | None
    num_px: int
    """Label-map pixels."""
    x: float
    """Its centre, as a share of the width of the view; 0 is left."""
    y: float
    """The same of the height; 0 is up."""
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Its left, upper, right and lower end, as shares of width and height."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is to be seen in one view; the fields answer to those of ``WindowFacts``."""

    time: str | None
    weather: str | None
    mountains: bool
    biomes: dict[str, float] = field(default_factory=dict)
    objects: frozenset[tuple[str, str | None]] = frozenset()
    """Every kind seen with each colour it was seen in."""
    pieces: tuple[Piece, ...] = ()
    """All pieces of all kinds; a kind seen in crumbs alone makes one of them all."""

    @property
    def kinds(self) -> frozenset[str]:
        """Object kinds seen, whatever their colour."""
        return frozenset(kind for kind, _ in self.objects)

    @property
    def dominant_biome(self) -> str | None:
        """Biome with the largest share of the ground; None without ground."""
        return max(self.biomes, key=lambda name: self.biomes[name]) if self.biomes else None
