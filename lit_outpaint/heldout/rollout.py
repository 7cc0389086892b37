"""Widening many panoramas side by side, for evaluation: step k of all of them in batches, then step k + 1.

The windows are drawn by ``Outpainter.draw``, as in the product, with the noise that ``outpaint --seed`` would use. The
canvases of the evaluation are short, so they live in memory.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lit_outpaint.canvas.geometry import HEADINGS, Box, Direction, new_box, next_window
from lit_outpaint.canvas.seeding import window_generator
from lit_outpaint.drawing.engine import WindowRequest

Pixels = NDArray[np.uint8]
Report = Callable[[str], None]


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


class Rollout(NamedTuple):
    """Finished panoramas."""

    panoramas: list[Pixels]
    changed_px: NDArray[np.int64]
    """``(walks, steps)``: pixels known before a step that were different after it."""


@runtime_checkable
class Draws(Protocol):
    """What a rollout asks of an outpainter; see ``Outpainter.draw``."""

    def draw(self, requests: Sequence[WindowRequest]) -> Pixels:
        """Windows ``(B, H, W, 3)`` with their new part filled; the known parts come back bit for bit."""
        ...


def roll_out(
    outpainter: Draws,
    walks: Sequence[Walk],
    geometry: Geometry,
    *,
    view_px: int,
    seed: int = 0,
    batch_size: int = 16,
    report: Report = print,
) -> Rollout:
    """Widen all panoramas by as many steps as they have local captions.

    Args:
        outpainter: draws a batch of windows.
        walks: what to draw; all need the same number of local captions.
        geometry: direction, window and stride.
        view_px: how far back from the growing side the vision encoder sees.
        seed: root of all noise; each panorama has a seed of its own.
        batch_size: windows drawn at once; does not change the pictures.
        report: takes one line of progress per step.

    Raises:
        ValueError: the walks have different numbers of steps.
    """
    counts = {len(walk.local_captions) for walk in walks}
    if len(counts) != 1:
        raise ValueError(f"all panoramas of a rollout need the same number of steps, got {sorted(counts)}")
    (num_steps,) = counts
    canvases = [walk.first_window.copy() for walk in walks]
    changed = np.zeros((len(walks), num_steps), dtype=np.int64)
    for step in range(num_steps):
        for start in range(0, len(walks), batch_size):
            part = slice(start, start + batch_size)
            grown = _step(outpainter, walks[part], canvases[part], geometry, step, view_px, seed)
            for index, canvas in enumerate(grown, start):
                changed[index, step] = changed_pixels(canvases[index], canvas, geometry)
                canvases[index] = canvas
        report(f"step {step + 1}/{num_steps}: {len(walks)} panoramas are {geometry.length(step + 1)} px long")
    return Rollout(canvases, changed)


def changed_pixels(before: Pixels, after: Pixels, geometry: Geometry) -> int:
    """Pixels of the canvas before a step that differ after it."""
    length = before.shape[1] if geometry.horizontal else before.shape[0]
    return int((geometry.start(after, length) != before).any(axis=-1).sum())


def panorama_seed(seed: int, key: str) -> int:
    """The seed of one panorama's run: a hash of the evaluation's seed and the panorama's key, in [0, 2**31)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:4], "big") >> 1


def _step(
    outpainter: Draws,
    walks: Sequence[Walk],
    canvases: Sequence[Pixels],
    geometry: Geometry,
    step: int,
    view_px: int,
    seed: int,
) -> list[Pixels]:
    """One more strip for a batch of panoramas."""
    grown = [_with_room(canvas, geometry) for canvas in canvases]
    windows = [geometry.window_at(canvas, step + 1) for canvas in grown]
    box = geometry.window_box(step)
    drawn = outpainter.draw(
        [
            WindowRequest(
                window=box,
                known=window,
                new=new_box(geometry.direction, geometry.stride_px, geometry.window_px),
                caption=walk.local_captions[step],
                global_caption=walk.global_caption,
                view=geometry.end(canvas, view_px),
                generator=window_generator(panorama_seed(seed, walk.key), box, geometry.direction),
            )
            for walk, window, canvas in zip(walks, windows, canvases, strict=True)
        ]
    )
    for window, new in zip(windows, drawn, strict=True):
        window[...] = new
    return grown


def _with_room(canvas: Pixels, geometry: Geometry) -> Pixels:
    """A copy of the canvas with one blank stride at the growing side."""
    strip = (0, geometry.stride_px) if geometry.forward else (geometry.stride_px, 0)
    still = (0, 0)
    return np.pad(canvas, (still, strip, still) if geometry.horizontal else (strip, still, still))
