"""Reading a picture from disk as plain RGB, and scaling and cutting it to the model's window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from lit_outpaint.canvas.decoding import MAX_IMAGE_PX, decode
from lit_outpaint.canvas.geometry import Box

MAX_ENLARGED = 4
"""How many times larger a small picture is made at most; beyond that there is nothing to see in it."""


def load_image(path: Path, max_px: int = MAX_IMAGE_PX) -> UInt8[ndarray, "h w 3"]:
    """Load a picture by the one policy for all pictures; see `lit_outpaint.canvas.decoding`.

    Args:
        path: a picture.
        max_px: the most pixels that are decoded.

    Raises:
        ValueError: the file is missing, no picture, damaged, too large or of unknown colours.
    """
    if not path.is_file():
        raise ValueError(
            f"the image must be a file, got {path}, which {'is a directory' if path.is_dir() else 'is missing'}"
        )
    return np.array(decode(path, str(path), max_px).image)


def cut_square(image: Image.Image, side_px: int, place: Callable[[int], int] = lambda spare: spare // 2) -> Image.Image:
    """The largest square of a picture, resized to a window; the same for prepared and for plain shards.

    Args:
        image: RGB.
        side_px: side of the window.
        place: from the number of pixels that do not fit into the square to how many of them lie left of it or above;
            the middle when left out.
    """
    return resized_box(image, square_box(image.size, place), (side_px, side_px))


def square_box(size: tuple[int, int], place: Callable[[int], int]) -> Box:
    """The largest square of a picture of some width and height; ``place`` as for `cut_square`."""
    short = min(size)
    left, top = (place(length - short) for length in size)
    return Box(left, top, left + short, top + short)


def resized_box(image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    """A part of a picture in another width and height; its very pixels where these are its own."""
    if size == (box.width, box.height):
        return image.crop(box.as_tuple())
    return image.resize(size, Image.Resampling.LANCZOS, box=box.as_tuple())


def shrink_to_window(image: UInt8[ndarray, "h w 3"], window_px: int) -> UInt8[ndarray, "sh sw 3"]:
    """Scale the picture down so that its shorter side is one window; smaller or equal ones stay as they are."""
    return _scale_to_window(image, window_px) if min(image.shape[:2]) > window_px else image


def enlarge_to_window(image: UInt8[ndarray, "h w 3"], window_px: int) -> UInt8[ndarray, "sh sw 3"]:
    """Scale the picture up so that its shorter side is one window; larger or equal ones stay as they are.

    Raises:
        ValueError: the picture would have to grow more than `MAX_ENLARGED` times.
    """
    height, width = image.shape[:2]
    if min(height, width) * MAX_ENLARGED < window_px:
        raise ValueError(
            f"the image must have at least {-(-window_px // MAX_ENLARGED)} px on its shorter side for a window of"
            f" {window_px} px, got {width} x {height}; give a larger image"
        )
    return _scale_to_window(image, window_px) if min(height, width) < window_px else image


def _scale_to_window(image: UInt8[ndarray, "h w 3"], window_px: int) -> UInt8[ndarray, "sh sw 3"]:
    height, width = image.shape[:2]
    shorter = min(height, width)
    size = tuple(max(round(side * window_px / shorter), window_px) for side in (width, height))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
