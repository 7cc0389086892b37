"""From the bytes of any picture to one square window.

Every oddity of photographs in the wild is either mended and named (turned by EXIF, grey, CMYK, palette, transparent,
too small) or refused and named, so that both can be counted.
"""

import io
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from PIL import Image, ImageOps

from lit_outpaint.data.schema import MAX_IMAGE_PX

FORMATS: Final = ("JPEG", "PNG", "WEBP")
"""What a picture may be, whatever its name ends in."""

_MODES: Final = {"RGB": "", "L": "grey", "1": "grey", "CMYK": "cmyk", "YCbCr": "", "P": "palette"}
_ORIENTATION: Final = 0x0112
"""EXIF tag: 1 is upright, 2 to 8 are turned or mirrored."""

_TRANSPARENT: Final = ("RGBA", "LA", "PA", "La", "RGBa")


class ImageError(Exception):
    """A picture cannot be used; the message is the cause it is counted under."""


class Window(NamedTuple):
    """A square cut from a picture."""

    image: Image.Image
    """RGB, of the side asked for."""
    mended: tuple[str, ...]
    """What had to be changed: ``grey``, ``cmyk``, ``palette``, ``transparent``, ``turned``, ``enlarged``."""


def cut_window(data: bytes, window_px: int, min_side_px: int, place: Callable[[int], int]) -> Window:
    """Decode a picture and cut its window: the largest square at a place, resized.

    Args:
        data: bytes of the file.
        window_px: side of the window.
        min_side_px: pictures whose shorter side is below this are refused.
        place: from the number of pixels that do not fit into the square to how many of them lie left of it or above.

    Raises:
        ImageError: ``no_image``, ``too_large``, ``too_small``, ``corrupt`` or ``unknown_colours``.
    """
    image, mended = _decoded(data)
    short = min(image.size)
    if short < min_side_px:
        raise ImageError("too_small")
    if short < window_px:
        mended.append("enlarged")
    left, top = (place(length - short) for length in image.size)
    box = (left, top, left + short, top + short)
    if (short, short) == (window_px, window_px):
        return Window(image.crop(box), tuple(mended))
    return Window(image.resize((window_px, window_px), Image.Resampling.LANCZOS, box=box), tuple(mended))


def _decoded(data: bytes) -> tuple[Image.Image, list[str]]:
    """The picture, upright and in RGB, and what was mended."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            # The header is enough to refuse a decompression bomb before its pixels are made.
            if max(opened.size) > MAX_IMAGE_PX:
                raise ImageError("too_large")
            opened.load()
            mended = ["turned"] if opened.getexif().get(_ORIENTATION, 1) in range(2, 9) else []
            return _rgb(ImageOps.exif_transpose(opened), mended), mended
    except Image.UnidentifiedImageError:
        raise ImageError("no_image") from None
    except Image.DecompressionBombError:
        raise ImageError("too_large") from None
    # What Pillow raises on damaged files of these formats.
    except (OSError, SyntaxError, ValueError, EOFError, struct.error):
        raise ImageError("corrupt") from None


def _rgb(image: Image.Image, mended: list[str]) -> Image.Image:
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        mended.append("transparent")
        layered = image.convert("RGBA")
        # White, as a page behind the picture would be.
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    if image.mode not in _MODES:
        raise ImageError("unknown_colours")
    if _MODES[image.mode]:
        mended.append(_MODES[image.mode])
    return image.convert("RGB")
