"""Widening many panoramas side by side, for evaluation: step k of all of them in batches, then step k + 1.

The windows are drawn by ``Outpainter.draw``, as in the product, with the noise that ``outpaint --seed`` would use. The
canvases of the evaluation are short, so they live in memory.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lit_outpaint.canvas.geometry import new_box
from lit_outpaint.canvas.seeding import window_generator
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk

Report = Callable[[str], None]


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
