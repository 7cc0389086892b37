"""Draws the same shapes twice: as antialiased colour, or as exact class codes.

A shape is given in world pixels. The colour painter draws at twice the size and averages 2 x 2 pixels; the label
painter draws once, without antialiasing, so that every pixel belongs to exactly one class.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from data_prep.scapes.palette import RGB

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Ink:
    """What a shape leaves behind: its colour, and its class indices in the label maps (0 = none)."""

    rgb: RGB
    kind: int = 0
    colour: int = 0
    sky: int = 0

    @property
    def code(self) -> int:
        """The label indices packed into one integer; the biome byte is left to the ground."""
        return self.kind | self.colour << 8 | self.sky << 24


class Painter(Protocol):
    """Receives shapes in world pixels."""

    def polygon(self, points: Sequence[tuple[float, float]], ink: Ink) -> None:
        """Fill a polygon."""

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, ink: Ink) -> None:
        """Fill an axis-aligned ellipse."""

    def box(self, x0: float, y0: float, x1: float, y1: float, ink: Ink) -> None:
        """Fill an axis-aligned rectangle."""


class _ImagePainter:
    """Shared geometry: world pixels to image pixels."""

    def __init__(self, image: Image.Image, x: int, y: int, scale: int) -> None:
        self.image, self.scale = image, scale
        self._x, self._y = x, y
        self._draw = ImageDraw.Draw(image)

    def polygon(self, points: Sequence[tuple[float, float]], ink: Ink) -> None:
        self._draw.polygon([self._pixel(px, py) for px, py in points], fill=self._fill(ink))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, ink: Ink) -> None:
        (x0, y0), (x1, y1) = self._pixel(cx - rx, cy - ry), self._pixel(cx + rx, cy + ry)
        self._draw.ellipse((x0, y0, x1 - 1, y1 - 1), fill=self._fill(ink))

    def box(self, x0: float, y0: float, x1: float, y1: float, ink: Ink) -> None:
        # Pillow includes the last row and column, hence the - 1.
        (left, top), (right, bottom) = self._pixel(x0, y0), self._pixel(x1, y1)
        self._draw.rectangle((left, top, right - 1, bottom - 1), fill=self._fill(ink))

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        # Pillow rounds towards zero, so a shape would change where it crosses the view's left or upper edge.
        return math.floor((x - self._x) * self.scale + 0.5), math.floor((y - self._y) * self.scale + 0.5)

    def _fill(self, ink: Ink) -> RGB | int:
        raise NotImplementedError


class ColourPainter(_ImagePainter):
    """Paints colour at twice the size; starts from a background ``(2 h, 2 w, 3)`` uint8."""

    def __init__(self, background: np.ndarray, x: int, y: int) -> None:
        super().__init__(Image.fromarray(background), x, y, SUPERSAMPLING)

    def pixels(self) -> np.ndarray:
        """The finished picture, ``(h, w, 3)`` uint8."""
        return np.asarray(self.image.reduce(SUPERSAMPLING))

    def _fill(self, ink: Ink) -> RGB:
        return ink.rgb


class LabelPainter(_ImagePainter):
    """Paints class codes at true size; starts from a background ``(h, w)`` int32."""

    def __init__(self, background: np.ndarray, x: int, y: int) -> None:
        super().__init__(Image.fromarray(background, mode="I"), x, y, 1)

    def codes(self) -> np.ndarray:
        """The finished class codes, ``(h, w)`` int32."""
        return np.asarray(self.image)

    def _fill(self, ink: Ink) -> int:
        return ink.code
