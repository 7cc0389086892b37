"""The canvas as a tiled BigTIFF with all its levels, for programs that open pictures larger than memory.

Tiles are written in the order in which the pyramid makes them; the directories that say where each lies come last.
Every level is a page of its own, full size first, the others marked as reduced (TIFF 6.0, and the BigTIFF design of
Aware Systems). Only the places of tiles are kept in memory, 16 bytes each.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy import ndarray

from lit_outpaint.canvas.export.pyramid import Pyramid
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.system.files import written_whole

_BYTE, _ASCII, _SHORT, _LONG, _LONG8 = 1, 2, 3, 4, 16
_FORMATS = {_BYTE: "B", _SHORT: "H", _LONG: "I", _LONG8: "Q"}
_DEFLATE, _RGB, _CONTIGUOUS, _HORIZONTAL, _UNASSOCIATED_ALPHA = 8, 2, 1, 2, 2
_FIRST_DIRECTORY_AT = 8


def write_tiff(canvas: Canvas, path: Path, xmp: str = "", tile_px: int = 256) -> None:
    """Write what the canvas holds, losslessly; pixels that are not known are transparent.

    Args:
        canvas: what to write.
        path: replaced in one go when the picture is complete.
        xmp: packet that says how the picture came to be; none when empty.
        tile_px: side of a tile, a multiple of 16.
    """
    pyramid = Pyramid(canvas, tile_px, smallest_px=tile_px)
    places = [
        np.zeros((2, rows * columns), np.uint64) for columns, rows in map(pyramid.grid, range(len(pyramid.sizes)))
    ]
    with written_whole(path) as draft, draft.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))

        def write(level: int, column: int, row: int, pixels: ndarray) -> None:
            data = _pack(pixels, tile_px)
            index = row * pyramid.grid(level)[0] + column
            places[level][:, index] = file.tell(), len(data)
            file.write(data)

        pyramid.walk(write)
        following = 0
        for level in reversed(range(len(places))):  # Each directory names the next, so the last is written first.
            following = _write_directory(file, _tags(pyramid, level, places[level], xmp), following)
        file.seek(_FIRST_DIRECTORY_AT)
        file.write(struct.pack("<Q", following))


def _pack(pixels: ndarray, tile_px: int) -> bytes:
    """Fill a tile at the edge up to full size, keep differences to the left (they pack better), and deflate."""
    height, width, channels = pixels.shape
    tile = np.zeros((tile_px, tile_px, channels), np.uint8)
    tile[:height, :width] = pixels
    tile[:, 1:] -= tile[:, :-1].copy()  # uint8 wraps, as the format wants.
    return zlib.compress(tile.tobytes(), 4)  # Level 6 takes up to three times as long for 5 % less.


def _tags(
    pyramid: Pyramid, level: int, places: ndarray, xmp: str
) -> dict[int, tuple[int, list[int] | ndarray | bytes]]:
    """Type and values by tag number."""
    width, height = pyramid.sizes[level]
    tags: dict[int, tuple[int, list[int] | ndarray | bytes]] = {
        254: (_LONG, [1 if level else 0]),  # NewSubfileType: a reduced image
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [8] * pyramid.channels),  # BitsPerSample
        259: (_SHORT, [_DEFLATE]),
        262: (_SHORT, [_RGB]),
        277: (_SHORT, [pyramid.channels]),  # SamplesPerPixel
        284: (_SHORT, [_CONTIGUOUS]),
        305: (_ASCII, b"lit_outpaint\0"),
        317: (_SHORT, [_HORIZONTAL]),  # Predictor
        322: (_LONG, [pyramid.tile_px]),
        323: (_LONG, [pyramid.tile_px]),
        324: (_LONG8, places[0]),
        325: (_LONG8, places[1]),
    }
    if pyramid.channels == 4:
        tags[338] = (_SHORT, [_UNASSOCIATED_ALPHA])
    if xmp and level == 0:
        tags[700] = (_BYTE, xmp.encode())
    return tags


def _write_directory(file: BinaryIO, tags: dict[int, tuple[int, list[int] | ndarray | bytes]], following: int) -> int:
    """Write one directory after the values that do not fit into its entries; return where it lies."""
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
        if len(data) > 8:
            data = struct.pack("<Q", _append(file, data))
        entries += struct.pack("<HHQ", tag, kind, len(values)) + data.ljust(8, b"\0")
    return _append(file, struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", following))


def _append(file: BinaryIO, data: bytes) -> int:
    """Write at the next multiple of eight, as the format wants, and return where."""
    file.write(b"\0" * (-file.tell() % 8))
    place = file.tell()
    file.write(data)
    return place
