"""The canvas on disk: pixels in a zarr array, steps in a journal beside it; only windows are ever in memory.

Layout of a canvas directory::

    canvas.zarr/   uint8 (height, width, 3); pixel (x, y) of the canvas is element [y + origin_y, x + origin_x]
    steps.jsonl    a line per finished step (`lit_outpaint.canvas.journal`)

The array's attributes hold ``origin_px`` ([origin_y, origin_x], whole chunks), ``image_box`` and ``image_sha256`` of
the first image. Pixels reach the disk before the journal names them, so a step without a line has not happened: its
pixels are outside the known part and are written again when the step is repeated.
"""

from __future__ import annotations

import hashlib
import logging
from array import array
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.journal import Journal, StepRecord
from lit_outpaint.canvas.pixel_array import PixelArray, finish_move

ARRAY_NAME = "canvas.zarr"
JOURNAL_NAME = "steps.jsonl"
_NOT_DONE = -1

log = logging.getLogger(__name__)


class Canvas:
    """A picture on disk that grows in four directions and never changes what it holds.

    Make one with `Canvas.create`, `Canvas.open`, or `Canvas.open_to_read`.

    Attributes:
        directory: where it lies.
        image_box: the first image, with its top left corner at (0, 0).
        box: bounding box of what is known.
        num_steps: how many steps are finished; not all plans are finished in the order of their numbers.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = Journal(directory / JOURNAL_NAME)
        path = directory / ARRAY_NAME
        try:
            self._array = PixelArray(path)
            self.image_box = Box(*self._array.attributes["image_box"])
            self._image_sha256 = self._array.attributes["image_sha256"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # zarr trusts that JSON is an object.
            raise ValueError(
                f"{path} must be the array of a canvas, but cannot be read ({error}); start a new run"
            ) from error
        self.known: list[Box] = [self.image_box]
        self.num_steps = 0
        self._line_of = array("q")  # Where the line of each step begins; a step costs eight bytes of memory.

    @classmethod
    def create(
        cls, directory: Path, image: UInt8[ndarray, "h w 3"], reserve: Box | None = None, chunk_px: int = 256
    ) -> Canvas:
        """Make a canvas that holds one image.

        Args:
            directory: an existing directory without a canvas.
            image: the first image; its top left corner becomes (0, 0).
            reserve: what the canvas is expected to grow to; a canvas that outgrows it makes room by itself.
            chunk_px: side of a chunk, the least that is read or written at once.
        """
        height, width = image.shape[:2]
        image_box = Box(0, 0, width, height)
        attributes = {"image_box": list(image_box.as_tuple()), "image_sha256": checksum(image)}
        array = PixelArray.create(directory / ARRAY_NAME, image_box.union(reserve or image_box), chunk_px, attributes)
        for y in range(0, height, chunk_px):
            band = image[y : y + chunk_px]
            array[Box(0, y, width, y + len(band))] = band
        return cls(directory)

    @classmethod
    def open(cls, directory: Path) -> Canvas:
        """Open a canvas after whatever happened to it; keep the steps whose pixels match their checksums.

        A step cut short, pixels that never reached the disk, or a line torn in half all end the same way: the journal
        is cut back to the last line that is whole, and whatever is drawn after it is drawn again.

        Raises:
            ValueError: there is no canvas, its journal is unreadable or names a step twice, or the first image is
                damaged.
        """
        finish_move(directory / ARRAY_NAME)
        for leftover in (directory / ARRAY_NAME).rglob("*.partial"):
            leftover.unlink()
        canvas = cls._existing(directory)
        damaged = canvas._recall()
        if damaged is not None:
            log.warning(
                "step %d in %s is damaged (checksum differs): it and all after it in %s are drawn again",
                damaged,
                directory / ARRAY_NAME,
                JOURNAL_NAME,
            )
        canvas.journal.keep(canvas.num_steps)
        return canvas

    @classmethod
    def open_to_read(cls, directory: Path) -> Canvas:
        """Open a canvas and write nothing, not even to mend it: another process may be drawing it.

        Raises:
            ValueError: as of `open`, or a step is damaged.
        """
        canvas = cls._existing(directory)
        damaged = canvas._recall()
        if damaged is not None:
            raise ValueError(
                f"step {damaged} in {directory / ARRAY_NAME} is damaged (checksum differs); resume the run to draw it "
                "again"
            )
        return canvas

    @classmethod
    def _existing(cls, directory: Path) -> Canvas:
        if not (directory / ARRAY_NAME / "zarr.json").is_file():
            raise ValueError(f"a canvas needs {directory / ARRAY_NAME}, which is missing; start a new run")
        return cls(directory)

    @property
    def box(self) -> Box:
        """Bounding box of the known pixels."""
        box = self.known[0]
        for other in self.known[1:]:
            box = box.union(other)
        return box

    @property
    def has_unknown(self) -> bool:
        """Whether the bounding box holds pixels that nobody made."""
        return sum(part.width * part.height for part in self.known) < self.box.width * self.box.height

    def read(self, box: Box) -> UInt8[ndarray, "h w 3"]:
        """Read pixels; those that are not known yet are 0."""
        pixels = np.zeros((box.height, box.width, 3), np.uint8)
        for known in self.known:
            part = known.intersection(box)
            if part is not None:
                inner = part.shift(-box.x0, -box.y0)
                pixels[inner.y0 : inner.y1, inner.x0 : inner.x1] = self._array[part]
        return pixels

    def read_with_alpha(self, box: Box) -> UInt8[ndarray, "h w 4"]:
        """Read pixels with a fourth channel: 255 where they are known, 0 elsewhere."""
        alpha = np.zeros((box.height, box.width, 1), np.uint8)
        for known in self.known:
            part = known.intersection(box)
            if part is not None:
                inner = part.shift(-box.x0, -box.y0)
                alpha[inner.y0 : inner.y1, inner.x0 : inner.x1] = 255
        return np.concatenate([self.read(box), alpha], axis=2)

    def is_done(self, step: int) -> bool:
        """Whether a step is finished."""
        return step < len(self._line_of) and self._line_of[step] != _NOT_DONE

    def record(self, step: int) -> StepRecord:
        """What a finished step did, read from the journal."""
        assert self.is_done(step), step
        return self.journal.at(self._line_of[step])

    def commit(self, steps: Sequence[tuple[StepRecord, UInt8[ndarray, "_ _ 3"]]]) -> None:
        """Add the new pixels of steps that were drawn together: all pixels first, then their journal lines.

        Raises:
            ValueError: a strip overlaps known pixels, a step is done already, or shape or checksum differ; then nothing
                has been added.
        """
        taken = list(self.known)
        for record, pixels in steps:
            strip = record.strip_box
            if any(known.intersection(strip) for known in taken):
                raise ValueError(f"step {record.step} would change known pixels: its strip {record.strip} is not new")
            if self.is_done(record.step):
                raise ValueError(f"step {record.step} of this canvas is done already")
            if pixels.shape != (strip.height, strip.width, 3) or checksum(pixels) != record.checksum:
                raise ValueError(
                    f"step {record.step} must bring the {strip.width} x {strip.height} pixels of its checksum"
                )
            taken.append(strip)
        for record, pixels in steps:
            self._array.reserve(record.strip_box, slack=True)
            self._array[record.strip_box] = pixels
            self._array.flush(record.strip_box)
        for begin, (record, _) in zip(self.journal.append([record for record, _ in steps]), steps, strict=True):
            self._remember(record, begin)

    def forget(self, steps: Collection[int]) -> None:
        """Take steps back, as if they had never been drawn; what builds on them must be among them."""
        self.journal.drop(steps)
        self.known, self.num_steps, self._line_of = [self.image_box], 0, array("q")
        for begin, record in self.journal.scan():
            self._remember(record, begin)

    def reserve(self, box: Box) -> None:
        """Make room for ``box`` at once."""
        self._array.reserve(box)

    def _recall(self) -> int | None:
        """Remember the steps of the journal up to the first whose pixels do not match; return its number."""
        if not self._array.holds(self.image_box, self._image_sha256):
            raise ValueError(f"the first image in {self._array.path} is damaged (checksum differs); start a new run")
        for begin, record in self.journal.scan():
            if self.is_done(record.step):
                raise ValueError(f"{self.journal.path} names step {record.step} twice; mend it or start a new run")
            strip = record.strip_box
            if not self._array.room.contains(strip) or not self._array.holds(strip, record.checksum):
                return record.step
            self._remember(record, begin)
        return None

    def _remember(self, record: StepRecord, begin: int) -> None:
        missing = record.step + 1 - len(self._line_of)
        self._line_of.extend([_NOT_DONE] * missing)
        self._line_of[record.step] = begin
        self.num_steps += 1
        self.known = _merge(self.known, record.strip_box)


def checksum(pixels: UInt8[ndarray, "h w 3"]) -> str:
    """SHA-256 of the pixels, row by row."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _merge(known: Sequence[Box], new: Box) -> list[Box]:
    """Add a box; where one continues another over a whole side the two become one, so the list stays short."""
    for i, box in enumerate(known):
        same_rows = (box.y0, box.y1) == (new.y0, new.y1) and (box.x1 == new.x0 or box.x0 == new.x1)
        same_columns = (box.x0, box.x1) == (new.x0, new.x1) and (box.y1 == new.y0 or box.y0 == new.y1)
        if same_rows or same_columns:
            return _merge([*known[:i], *known[i + 1 :]], box.union(new))
    return [*known, new]
