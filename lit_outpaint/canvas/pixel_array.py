"""Pixels on disk around an origin: a zarr array that can make room on all four sides.

The array is no OME-Zarr image, because that format wants a group and the channel axis first; `ome_zarr` exports one.
Chunks are not packed into shards: a step would rewrite a whole shard, known pixels and all, so a power cut at that
moment would put many finished steps at risk where it now can reach only those that share the strip's chunks.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.system.files import sync


class DamagedChunk(ValueError):
    """A file of pixels that cannot be decoded; what it held has to be drawn again."""


class PixelArray:
    """uint8 (height, width, 3); pixel (x, y) is element [y + origin_y, x + origin_x].

    Attributes:
        path: directory of the array.
        attributes: what was noted when it was made, and its origin.
        room: which pixels there are elements for.
    """

    def __init__(self, path: Path) -> None:
        """Open one.

        Raises:
            ValueError: the array cannot be read, or has no origin.
        """
        self.path = path
        self._load()

    @classmethod
    def create(cls, path: Path, room: Box, chunk_px: int, attributes: Mapping[str, object]) -> PixelArray:
        """Make an array of zeros.

        Args:
            path: a directory that is not there yet.
            room: pixels that there must be elements for, with (0, 0) among them.
            chunk_px: side of a chunk, the least that is read or written at once.
            attributes: what to note, plain values.
        """
        _create(path, room, chunk_px, attributes)
        return cls(path)

    def __getitem__(self, box: Box) -> UInt8[ndarray, "h w 3"]:
        return self._read(*self._index(box))

    def __setitem__(self, box: Box, pixels: UInt8[ndarray, "h w 3"]) -> None:
        try:
            self._array[self._index(box)] = pixels
        except (OSError, MemoryError):
            raise
        except Exception:
            # A chunk that is changed in part is read first. One that cannot be decoded holds no known pixel, because
            # those were read when the canvas was opened.
            self._clear_damaged(box)
            self._array[self._index(box)] = pixels

    def holds(self, box: Box, checksum: str) -> bool:
        """Whether stored pixels have this SHA-256, row by row; they are read in bands of one chunk."""
        digest = hashlib.sha256()
        step = self._array.chunks[0]
        try:
            for y in range(box.y0, box.y1, step):
                band = Box(box.x0, y, box.x1, min(y + step, box.y1))
                digest.update(np.ascontiguousarray(self[band]).tobytes())
        except DamagedChunk:
            return False
        return digest.hexdigest() == checksum

    def flush(self, box: Box) -> None:
        """Wait until the chunks under ``box`` are on disk, so that a power cut cannot lose them."""
        for chunk, _, _ in self._chunks(box):
            sync(chunk)

    def reserve(self, box: Box, slack: bool = False) -> None:
        """Make room for ``box``: costs a link per chunk when the array is too small, nothing otherwise.

        Args:
            box: what must fit.
            slack: when room is made, double it, so that many small extensions cost a constant each.
        """
        room = self.room
        if room.contains(box):
            return
        wanted = room.union(box)
        if slack:
            wanted = Box(
                wanted.x0 - (room.width if box.x0 < room.x0 else 0),
                wanted.y0 - (room.height if box.y0 < room.y0 else 0),
                wanted.x1 + (room.width if box.x1 > room.x1 else 0),
                wanted.y1 + (room.height if box.y1 > room.y1 else 0),
            )
        self._move_to(wanted)

    def _load(self) -> None:
        import zarr  # It takes as long as the rest of a command line; a refusal does not need it.

        self._array = zarr.open_array(self.path, mode="r+", zarr_format=3)
        self.attributes = dict(self._array.attrs)
        self._oy, self._ox = (int(value) for value in self.attributes["origin_px"])
        height, width = self._array.shape[:2]
        self.room = Box(-self._ox, -self._oy, width - self._ox, height - self._oy)

    def _read(self, rows: slice, columns: slice) -> UInt8[ndarray, "h w 3"]:
        try:
            return self._array[rows, columns]
        except (OSError, MemoryError):
            raise
        except Exception as error:  # Each codec has classes of its own for what it cannot decode.
            raise DamagedChunk(
                f"{self.path} is damaged ({error}); resume the run to draw again what is lost"
            ) from error

    def _chunks(self, box: Box) -> Iterator[tuple[Path, int, int]]:
        """The files under ``box`` that there are, with the first row and column of each; zeros are not stored."""
        rows, columns = self._index(box)
        side = self._array.chunks[0]
        for y in range(rows.start // side * side, rows.stop, side):
            for x in range(columns.start // side * side, columns.stop, side):
                chunk = self.path / "c" / str(y // side) / str(x // side) / "0"
                if chunk.exists():
                    yield chunk, y, x

    def _clear_damaged(self, box: Box) -> None:
        for chunk, y, x in self._chunks(box):
            try:
                self._read(slice(y, y + 1), slice(x, x + 1))
            except DamagedChunk:
                chunk.unlink()

    def _index(self, box: Box) -> tuple[slice, slice]:
        return slice(box.y0 + self._oy, box.y1 + self._oy), slice(box.x0 + self._ox, box.x1 + self._ox)

    def _move_to(self, room: Box) -> None:
        """Make a larger array whose chunks are links to the present ones, and put it in the present one's place."""
        partial = _beside(self.path, "partial")
        shutil.rmtree(partial, ignore_errors=True)
        side = self._array.chunks[0]
        kept = {key: value for key, value in self.attributes.items() if key != "origin_px"}
        new = _create(partial, room, side, kept)
        dy, dx = ((int(n) - o) // side for n, o in zip(new.attrs["origin_px"], (self._oy, self._ox), strict=True))
        for chunk in (self.path / "c").glob("*/*/0"):
            target = partial / "c" / str(int(chunk.parts[-3]) + dy) / str(int(chunk.parts[-2]) + dx) / "0"
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(chunk, target)
        partial.rename(_beside(self.path, "new"))
        finish_move(self.path)
        self._load()


def finish_move(path: Path) -> None:
    """Put a finished array ``.new`` in place and clear what a kill left behind while room was made.

    ``.new`` only exists whole, because it got that name last. While it exists it is the array.
    """
    new, old = _beside(path, "new"), _beside(path, "old")
    if new.exists():
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        new.rename(path)
    for leftover in (old, _beside(path, "partial")):
        shutil.rmtree(leftover, ignore_errors=True)


def _create(path: Path, room: Box, chunk_px: int, attributes: Mapping[str, object]) -> Any:
    """Make an array with room for ``room``; its origin is whole chunks, so that chunks can be moved as files."""
    import zarr

    origin_y, origin_x = (chunk_px * -(-max(-start, 0) // chunk_px) for start in (room.y0, room.x0))
    return zarr.create_array(
        store=path,
        shape=(origin_y + room.y1, origin_x + room.x1, 3),
        chunks=(chunk_px, chunk_px, 3),
        dtype="uint8",
        fill_value=0,
        attributes={"origin_px": [origin_y, origin_x], **attributes},
    )


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # The file system has no hard links.
        shutil.copyfile(source, target)
