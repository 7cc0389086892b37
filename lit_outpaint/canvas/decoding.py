"""The one door for pictures by anybody: bytes of any file to upright 8-bit sRGB, or one line that says why not.

Whatever a decoder raises is the fault of the one picture and comes out as a `PictureError`, so that a stage or a batch
goes on with the others. Warnings of decoders name no file and are not shown.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from lit_outpaint.canvas.colours import ColourError, to_srgb
from lit_outpaint.system.one_line import one_line

FORMATS: Final = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What a picture may be, whatever its name ends in; others, such as PostScript, would start programs."""

MAX_IMAGE_PX: Final = 100_000_000
"""Larger pictures are refused before they are decoded: a small file can unpack to gigabytes."""

POLICY: Final = 2
"""Counts the times that the same file came to give other pixels; part of the names of caches of what is computed."""

_ORIENTATION: Final = 0x0112
"""EXIF tag: 1 is upright, 2 to 8 are turned or mirrored."""
_TRANSPOSED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """A picture cannot be used; the message is one line with its name."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        """What it is counted under: ``no_image``, ``too_large``, ``corrupt``, ``unknown_colours``, ``too_small``."""


class Picture(NamedTuple):
    """What was read."""

    image: Image.Image
    """RGB of 8 bits in sRGB, upright; of an animation the first frame."""
    mended: tuple[str, ...]
    """What had to be changed: ``turned``, and see `lit_outpaint.canvas.colours.to_srgb`."""


def decode(source: Path | bytes, name: str, max_px: int = MAX_IMAGE_PX) -> Picture:
    """Read a picture.

    Args:
        source: a file, or its bytes.
        name: what it is called in messages.
        max_px: the most pixels that are decoded.

    Raises:
        PictureError: it is no picture, damaged, too large or of unknown colours.
    """
    with _opened(source, name, max_px) as image:
        # Formats differ in when it is known; a TIFF is turned as it is loaded.
        orientations = [_orientation(image)]
        image.load()
        orientations.append(_orientation(image))
        try:
            read, mended = to_srgb(image)
        except ColourError as error:
            raise PictureError("unknown_colours", f"the image {name} cannot be used: {error}") from error
        if orientations[-1] != 1:
            read = read.transpose(_TRANSPOSED[orientations[-1]])
        return Picture(read, (*(["turned"] if orientations != [1, 1] else []), *mended))


def picture_suffixes() -> list[str]:
    """Endings, in small letters, that files of `FORMATS` have; for finding pictures in a directory."""
    return sorted(suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS)


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of the picture that `decode` reads, from the header of its file.

    Raises:
        PictureError: it is no picture, or its header is damaged.
    """
    with _opened(path, str(path), MAX_IMAGE_PX) as image:
        width, height = image.size
        turned = image.format != "TIFF" and _orientation(image) >= 5  # A TIFF says its size as it is shown.
        return (height, width) if turned else (width, height)


@contextmanager
def _opened(source: Path | bytes, name: str, max_px: int) -> Iterator[Image.Image]:
    """Open a picture and see to its size; whatever goes wrong until it is closed is its own fault.

    Raises:
        PictureError: anything went wrong.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_px:
                    raise PictureError(
                        "too_large", f"the image must have at most {max_px} pixels, got {width} x {height} in {name}"
                    )
                yield image
    except PictureError:
        raise
    except Image.UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise PictureError(
            "no_image", f"the image must be a picture, but {name} is in no known format ({known}) or damaged"
        ) from error
    except Image.DecompressionBombError as error:
        raise PictureError("too_large", f"the image must have at most {max_px} pixels, {name} has far more") from error
    except Exception as error:
        raise PictureError("corrupt", f"the image {name} cannot be read: {one_line(error)}") from error


def _orientation(image: Image.Image) -> int:
    """How the picture is turned, 1 for upright; also where its EXIF data are damaged, as viewers do."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        return value if value in _TRANSPOSED else 1
    except Exception:
        return 1
