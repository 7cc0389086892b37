"""The canvas as one PNG, written in bands so that memory does not grow with the picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.system.files import written_whole

MAX_PNG_SIDE = 1_000_000
"""libpng refuses longer sides unless told otherwise, and with it most programs."""
_BAND_BYTES = 32 << 20
_PIECE_BYTES = 1 << 20
"""Filtering and packing copy the pixels several times, so they see little at once."""
_FILTER_NONE, _FILTER_SUB = 0, 1


def write_png(canvas: Canvas, path: Path, xmp: str = "", max_side: int = MAX_PNG_SIDE) -> bool:
    """Write what the canvas holds; pixels that are not known are transparent.

    Args:
        canvas: what to write.
        path: replaced in one go when the picture is complete.
        xmp: packet that says how the picture came to be (`lit_outpaint.canvas.export.provenance`).
        max_side: longest side that is written.

    Returns:
        False when the canvas is too long for a PNG, and nothing was written.
    """
    if max(canvas.box.width, canvas.box.height) > max_side:
        return False
    with written_whole(path) as draft, draft.open("wb") as file:
        file.writelines(png_stream(canvas, xmp))
    return True


def png_stream(canvas: Canvas, xmp: str = "", packing: int = 6, band_bytes: int | None = None) -> Iterator[bytes]:
    """The bytes of the PNG, made while they are asked for.

    Args:
        canvas: what to write.
        xmp: packet to put inside; none when empty.
        packing: zlib level; 0 stores the pixels as they are, which is fastest for a reader in the same process.
        band_bytes: pixels read at once; a band lower than a chunk reads chunks several times.
    """
    box, most_bytes = canvas.box, band_bytes or _BAND_BYTES
    channels = 4 if canvas.has_unknown else 3
    yield b"\x89PNG\r\n\x1a\n"
    colour_type = {3: 2, 4: 6}[channels]
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", box.width, box.height, 8, colour_type, 0, 0, 0))
    yield _chunk(b"sRGB", b"\0")  # What pictures are converted to and models draw; perceptual.
    if xmp:
        yield _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.encode())
    packer = zlib.compressobj(packing)
    piece_rows = max(1, _PIECE_BYTES // (box.width * channels))
    for band in _bands(box, max(1, most_bytes // (box.width * channels))):
        pixels = canvas.read_with_alpha(band) if channels == 4 else canvas.read(band)
        for y in range(0, band.height, piece_rows):
            lines = _filter(pixels[y : y + piece_rows], _FILTER_SUB if packing else _FILTER_NONE)
            yield _chunk(b"IDAT", packer.compress(lines))
    yield _chunk(b"IDAT", packer.flush())
    yield _chunk(b"IEND", b"")


def _bands(box: Box, most_rows: int) -> Iterator[Box]:
    """Cut a box into bands; edges lie on multiples of a power of two, so that bands do not straddle chunks."""
    rows = 1 << (most_rows.bit_length() - 1)
    y = box.y0
    while y < box.y1:
        end = min((y // rows + 1) * rows, box.y1)
        yield Box(box.x0, y, box.x1, end)
        y = end


def _filter(band: UInt8[ndarray, "h w c"], kind: int) -> bytes:
    """Put the filter's number before each line; Sub stores differences to the pixel on the left, which pack better."""
    height, width, channels = band.shape
    lines = np.empty((height, 1 + width * channels), np.uint8)
    lines[:, 0] = kind
    flat = band.reshape(height, -1)
    if kind == _FILTER_NONE:
        lines[:, 1:] = flat
    else:
        lines[:, 1 : 1 + channels] = flat[:, :channels]
        lines[:, 1 + channels :] = flat[:, channels:] - flat[:, :-channels]  # uint8 wraps, as the format wants.
    return lines.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
