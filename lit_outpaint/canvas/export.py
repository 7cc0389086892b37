"""The canvas as one PNG, written in bands so that memory does not grow with the picture."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas

MAX_PNG_SIDE = 1_000_000
"""libpng refuses longer sides unless told otherwise, and with it most programs."""
_BAND_BYTES = 8 << 20
_FILTER_SUB = 1


def write_png(canvas: Canvas, path: Path, max_side: int = MAX_PNG_SIDE) -> bool:
    """Write what the canvas holds; pixels that are not known are transparent.

    Args:
        canvas: what to write.
        path: replaced in one go when the picture is complete.
        max_side: longest side that is written.

    Returns:
        False when the canvas is too long for a PNG, and nothing was written.
    """
    box = canvas.box
    if max(box.width, box.height) > max_side:
        return False
    known = sum(part.width * part.height for part in canvas.known)
    channels = 3 if known == box.width * box.height else 4
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        colour_type = {3: 2, 4: 6}[channels]
        _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", box.width, box.height, 8, colour_type, 0, 0, 0))
        packer = zlib.compressobj(6)
        rows = max(1, _BAND_BYTES // (box.width * channels))
        for y in range(box.y0, box.y1, rows):
            band = _read_band(canvas, Box(box.x0, y, box.x1, min(y + rows, box.y1)), channels)
            _write_chunk(file, b"IDAT", packer.compress(_filter(band)))
        _write_chunk(file, b"IDAT", packer.flush())
        _write_chunk(file, b"IEND", b"")
    partial.replace(path)
    return True


def _read_band(canvas: Canvas, box: Box, channels: int) -> UInt8[ndarray, "h w c"]:
    pixels = canvas.read(box)
    if channels == 3:
        return pixels
    alpha = np.zeros((box.height, box.width, 1), np.uint8)
    for known in canvas.known:
        part = known.intersection(box)
        if part is not None:
            inner = part.shift(-box.x0, -box.y0)
            alpha[inner.y0 : inner.y1, inner.x0 : inner.x1] = 255
    return np.concatenate([pixels, alpha], axis=2)


def _filter(band: UInt8[ndarray, "h w c"]) -> bytes:
    """Store differences to the pixel on the left (filter type Sub of the PNG specification), which pack better."""
    height, width, channels = band.shape
    lines = np.empty((height, 1 + width * channels), np.uint8)
    lines[:, 0] = _FILTER_SUB
    flat = band.reshape(height, -1)
    lines[:, 1 : 1 + channels] = flat[:, :channels]
    lines[:, 1 + channels :] = flat[:, channels:] - flat[:, :-channels]  # uint8 wraps, as the format wants.
    return lines.tobytes()


def _write_chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
