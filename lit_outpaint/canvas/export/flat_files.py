"""The canvas as one JPEG or WebP, streamed through libvips (extra ``view``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lit_outpaint.canvas.export.png import png_stream
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.system.files import written_whole

MAX_JPEG_SIDE = 65_500
"""The format counts to 65,535; the library that everybody uses stops here."""
MAX_WEBP_SIDE = 16_383
BACKGROUND = (255, 255, 255)
"""Colour of unknown pixels in JPEG, which knows no transparency."""
MAX_JPEG_XMP = 60_000
"""libvips leaves a longer packet out, because a segment of a JPEG counts to 65,535."""
_QUALITY = 90
_STORED = 0


def require_pyvips() -> Any:
    """Import pyvips.

    Raises:
        ValueError: it is not installed, or it finds no libvips.
    """
    try:
        import pyvips
    except (ImportError, OSError) as error:
        raise ValueError("JPEG and WebP need pyvips, which is missing: pip install 'lit-outpaint[view]'") from error
    return pyvips


def write_flat(canvas: Canvas, path: Path, xmp: str = "") -> None:
    """Write a JPEG or WebP, by the name's ending; unknown pixels are white in JPEG and transparent in WebP.

    Rows stream from the canvas through the encoder. The WebP encoder keeps the whole picture in memory.

    Args:
        canvas: what to write; `MAX_JPEG_SIDE` and `MAX_WEBP_SIDE` bound it.
        path: replaced in one go when the picture is complete.
        xmp: packet that says how the picture came to be; none when empty.

    Raises:
        ValueError: pyvips is missing, or the file cannot be written.
    """
    pyvips = require_pyvips()
    feed = _Feed(png_stream(canvas, packing=_STORED))
    source = pyvips.SourceCustom()
    source.on_read(feed.read)
    is_jpeg = path.suffix == ".jpg"
    with written_whole(path) as draft:
        try:
            image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")
            if is_jpeg and image.hasalpha():
                image = image.flatten(background=list(BACKGROUND))
            if xmp:
                image = image.copy()
                image.set_type(pyvips.GValue.blob_type, "xmp-data", xmp.encode())
            save = image.jpegsave if is_jpeg else image.webpsave
            save(str(draft), Q=_QUALITY)
        except pyvips.Error as error:
            raise feed.error or ValueError(f"{path} cannot be written: {' '.join(str(error).split())}") from error


class _Feed:
    """Bytes of an iterator in portions of any size; an error waits here, because it cannot pass through libvips."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._parts))
        except StopIteration:
            return b""
        except Exception as error:
            self.error = error
            return b""
        portion, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return portion
