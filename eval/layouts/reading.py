"""A whole canvas as the judge sees it: read window by window, with the middle of each window put together."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from eval.judge import Judge
from eval.readings import LabelMaps, Reading
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.heldout.walks import Pixels


class Part(NamedTuple):
    """A window along one axis, and what is taken from it."""

    begin: int
    """Of the window, px."""
    start: int
    """Where it is taken from on, px of the canvas."""
    stop: int
    """Where the next one begins."""


def read_canvas(judge: Judge, read: Callable[[Box], Pixels], box: Box, window_px: int) -> Reading:
    """What is to be seen on a canvas; places and ends of pieces are shares of it.

    Windows overlap by half, and each place is taken from the window in whose middle it lies the most, since things that
    a window's border cuts are read badly.

    Args:
        judge: reads windows.
        read: gives the pixels of a box.
        box: the canvas.
        window_px: side of a window that the judge was made for.

    Raises:
        ValueError: the canvas is smaller than a window.
    """
    if min(box.width, box.height) < window_px:
        raise ValueError(f"a canvas must be at least one window of {window_px} px, got {box.width} x {box.height} px")
    rows = [
        _row(judge, read, Box(box.x0, box.y0 + part.begin, box.x1, box.y0 + part.begin + window_px), window_px, part)
        for part in parts(box.height, window_px)
    ]
    maps = LabelMaps(*(np.concatenate([getattr(row, name) for row in rows]) for name in LabelMaps._fields))
    return judge.read([maps])[0]


def parts(length: int, window_px: int) -> list[Part]:
    """Windows that cover a length, half over each other, and the stretch that each gives."""
    begins = [*range(0, length - window_px, max(window_px // 2, 1)), length - window_px]
    borders = [0, *((one + other + window_px) // 2 for one, other in pairwise(begins)), length]
    return [Part(begin, *ends) for begin, ends in zip(begins, pairwise(borders), strict=True)]


def _row(judge: Judge, read: Callable[[Box], Pixels], band: Box, window_px: int, rows: Part) -> LabelMaps:
    """The label maps of a row of windows, of the stretch that ``rows`` says."""
    across = parts(band.width, window_px)
    windows = [read(Box(band.x0 + part.begin, band.y0, band.x0 + part.begin + window_px, band.y1)) for part in across]
    maps = judge.look(np.stack(windows)).maps
    px = window_px // maps[0].kind.shape[0]
    height = _cells(rows, px)
    return LabelMaps(
        *(
            np.concatenate(
                [getattr(one, name)[height, _cells(part, px)] for one, part in zip(maps, across, strict=True)], axis=1
            )
            for name in LabelMaps._fields
        )
    )


def _cells(part: Part, px: int) -> slice:
    """What is taken of a window, in positions of its label map of ``px`` pixels each."""
    begin = part.begin // px
    return slice(part.start // px - begin, part.stop // px - begin)
