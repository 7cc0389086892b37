"""Held-out panoramas to be drawn: what one is given, and where its windows lie. Free of torch."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lit_outpaint.canvas.geometry import HEADINGS, Box, Direction, next_window

Pixels = NDArray[np.uint8]


class Walk(NamedTuple):
    """One panorama to draw."""

    key: str
    first_window: Pixels
    """``(window_px, window_px, 3)``, real."""
    global_caption: str
    local_captions: tuple[str, ...]
    """One per step."""


class Geometry(NamedTuple):
    """Shared by all walks of one rollout."""

    direction: Direction
    window_px: int
    stride_px: int

    @property
    def horizontal(self) -> bool:
        """Whether the canvas grows along x."""
        return HEADINGS[self.direction].axis == 0

    @property
    def axis(self) -> Literal["x", "y"]:
        """The axis along which the canvas grows."""
        return "x" if self.horizontal else "y"

    @property
    def forward(self) -> bool:
        """Whether the canvas grows towards larger coordinates."""
        return HEADINGS[self.direction].sign > 0

    @property
    def seam(self) -> int:
        """First line after the seam inside a window, along the growing axis."""
        return self.window_px - self.stride_px if self.forward else self.stride_px

    def length(self, num_steps: int) -> int:
        """Length of the canvas after some steps."""
        return self.window_px + num_steps * self.stride_px

    def window_box(self, step: int) -> Box:
        """The window that step ``step`` (from 0) draws, in canvas coordinates: the start window begins at (0, 0)."""
        anchor, heading = Box(0, 0, self.window_px, self.window_px), HEADINGS[self.direction]
        edge = heading.outer(anchor) + heading.sign * step * self.stride_px
        canvas = heading.between(anchor, heading.inner(anchor), edge)
        return next_window(canvas, self.direction, self.window_px, self.stride_px, anchor)[0]

    def window_span(self, total: int, step: int) -> slice:
        """Where the window after ``step`` steps lies along the growing axis of a canvas ``total`` px long."""
        start = step * self.stride_px if self.forward else total - self.length(step)
        return slice(start, start + self.window_px)

    def window_at(self, panorama: Pixels, step: int) -> Pixels:
        """The window after ``step`` steps (0 is the start window), a view into a panorama at least that long."""
        piece = self.window_span(panorama.shape[1] if self.horizontal else panorama.shape[0], step)
        return panorama[:, piece] if self.horizontal else panorama[piece]

    def start(self, panorama: Pixels, length: int) -> Pixels:
        """The ``length`` px of a panorama that are oldest."""
        piece = slice(0, length) if self.forward else slice(-length, None)
        return panorama[:, piece] if self.horizontal else panorama[piece]

    def end(self, canvas: Pixels, length: int) -> Pixels:
        """At most ``length`` px of a canvas at its growing side."""
        piece = slice(-length, None) if self.forward else slice(0, length)
        return canvas[:, piece] if self.horizontal else canvas[piece]
