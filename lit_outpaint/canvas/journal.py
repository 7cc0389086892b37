"""The journal of a canvas: one JSON line per finished step, written only after the step's pixels are on disk.

Lines stand in the order in which steps were finished: those of one batch together, by number.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.canvas.geometry import Box, Direction
from lit_outpaint.system.files import written_whole


class StepRecord(BaseModel):
    """What one step did; enough to tell how the canvas came to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=0)
    """Number of the step in the plan, from 0."""
    revision: int = 0
    """Number of the edit that had the step drawn again; 0 for none."""
    direction: Direction
    """The side that grew."""
    window: tuple[int, int, int, int]
    """The window that was denoised: x0, y0, x1, y1 on the canvas, half-open."""
    strip: tuple[int, int, int, int]
    """The new pixels of it."""
    local_caption: str
    """What the window was asked to show."""
    global_caption: str
    """The whole scene."""
    caption_source: str
    """Who wrote the local caption."""
    caption_instead_of: str = ""
    """The captioner that was asked first and why it wrote nothing; empty when it wrote the caption itself."""
    caption_similarity: float | None = None
    """Share of content words that the local caption has in common with the one before (Jaccard, in [0, 1]); null where
    there is none before."""
    truncated: dict[str, str] = {}
    """What the text encoder's length cut off, by ``local`` and ``global``; empty when nothing was."""
    seed: int
    """Seed of the window's own generator."""
    candidate: int = 0
    """Which of the versions that were drawn of the window this is."""
    candidate_scores: tuple[float, ...] = ()
    """The score of each of them, by number; empty when only one was drawn. The others lie in ``kept/``."""
    seconds: float
    """Wall time of the step; for windows that were drawn together, that of the batch divided by their number."""
    checksum: str
    """SHA-256 of the strip's pixels, row by row."""

    @property
    def strip_box(self) -> Box:
        """The new pixels as a box."""
        return Box(*self.strip)


class Journal:
    """A file of `StepRecord` lines that survives a kill at any moment: a torn last line counts as not written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, records: Sequence[StepRecord]) -> list[int]:
        """Write lines in one go, wait until they are on disk, and return where each begins."""
        lines = [record.model_dump_json().encode() + b"\n" for record in records]
        with self.path.open("ab") as file:
            begin = file.tell()
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        return [begin + sum(map(len, lines[:number])) for number in range(len(lines))]

    def __iter__(self) -> Iterator[StepRecord]:
        """Read the finished steps in the order of the file; see `scan` for errors."""
        return (record for _, record in self.scan())

    def scan(self) -> Iterator[tuple[int, StepRecord]]:
        """Where each line begins, and the step it holds, one line in memory at a time.

        Raises:
            ValueError: a line is no step record.
        """
        begin = 0
        for number, line in enumerate(self._lines()):
            yield begin, self._parse(line, f"{self.path}:{number + 1}")
            begin += len(line)

    def at(self, begin: int) -> StepRecord:
        """The step whose line begins there."""
        with self.path.open("rb") as file:
            file.seek(begin)
            return self._parse(file.readline(), f"{self.path}, byte {begin},")

    def keep(self, num_lines: int) -> None:
        """Drop everything after the first ``num_lines`` lines, a torn line included; atomic."""
        self._replace(islice(self._lines(), num_lines))

    def drop(self, steps: Collection[int]) -> None:
        """Take the lines of some steps out; atomic."""
        self._replace(line for line in self._lines() if self._parse(line, str(self.path)).step not in steps)

    def _lines(self) -> Iterator[bytes]:
        """Whole lines; the file may not be there yet."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))

    def _parse(self, line: bytes, where: str) -> StepRecord:
        try:
            return StepRecord.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
            field = ".".join(map(str, problem["loc"])) or "line"
            raise ValueError(f"{where} is no step record ({field}: {problem['msg']})") from error

    def _replace(self, lines: Iterable[bytes]) -> None:
        if not self.path.exists():
            return
        with written_whole(self.path) as draft, draft.open("wb") as new:
            new.writelines(lines)
