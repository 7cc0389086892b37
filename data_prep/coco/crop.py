"""From the bytes of any picture to one square window.

Every oddity of photographs in the wild is either mended and named or refused and named, so that both can be counted.
"""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from lit_outpaint.canvas.decoding import PictureError, decode
from lit_outpaint.canvas.image_io import cut_square


class Window(NamedTuple):
    """A square cut from a picture."""

    image: Image.Image
    """RGB, of the side asked for."""
    mended: tuple[str, ...]
    """What had to be changed: ``enlarged``, and see `lit_outpaint.canvas.decoding.Picture`."""


def cut_window(data: bytes, name: str, window_px: int, min_side_px: int, place: Callable[[int], int]) -> Window:
    """Decode a picture and cut its window: the largest square at a place, resized.

    Args:
        data: bytes of the file.
        name: of the file, for messages.
        window_px: side of the window.
        min_side_px: pictures whose shorter side is below this are refused.
        place: see `cut_square`.

    Raises:
        PictureError: it cannot be read, or is ``too_small``.
    """
    image, mended = decode(data, name)
    short = min(image.size)
    if short < min_side_px:
        raise PictureError("too_small", f"the image {name} is {image.width} x {image.height} px, below {min_side_px}")
    return Window(cut_square(image, window_px, place), (*mended, *(["enlarged"] if short < window_px else [])))
