"""From the bytes of any picture to one square window.

Every oddity of photographs in the wild is either mended and named or refused and named, so that both can be counted.
"""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from data_prep.around import WindowPlace
from lit_outpaint.canvas.decoding import PictureError, decode
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.image_io import resized_box, square_box


class Window(NamedTuple):
    """A square cut from a picture."""

    image: Image.Image
    """RGB, of the side asked for."""
    mended: tuple[str, ...]
    """What had to be changed: ``enlarged``, and see `lit_outpaint.canvas.decoding.Picture`."""
    picture: Image.Image
    """What it was cut from."""
    box: Box
    """Where it lies in that."""


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
    box = square_box(image.size, place)
    window = resized_box(image, box, (window_px, window_px))
    return Window(window, (*mended, *(["enlarged"] if short < window_px else [])), image, box)


def picture_around(window: Window) -> tuple[Image.Image, WindowPlace]:
    """The picture around a window in the window's scale, at most a window far on each side.

    Returns:
        RGB, at least as large as the window, and where the window lies in it, px.
    """
    box, scale = window.box, window.image.width / window.box.width
    far = Box(box.x0 - box.width, box.y0 - box.height, box.x1 + box.width, box.y1 + box.height)
    part = far.intersection(Box(0, 0, *window.picture.size))
    assert part is not None  # It holds the window.
    place = WindowPlace(x=round((box.x0 - part.x0) * scale), y=round((box.y0 - part.y0) * scale))
    # Rounded so that the window lies inside: what it shows is seen whole.
    width, height = (
        max(round(length * scale), at + window.image.width)
        for length, at in ((part.width, place.x), (part.height, place.y))
    )
    return resized_box(window.picture, part, (width, height)), place
