"""The journal of a canvas: one JSON line per finished step, written only after the step's pixels are on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.canvas.geometry import Box, Direction


class StepRecord(BaseModel):
    """What one step did; enough to tell how the canvas came to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=0)
    """Number of the step, from 0."""
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
    truncated: dict[str, str] = {}
    """What the text encoder's length cut off, by ``local`` and ``global``; empty when nothing was."""
    seed: int
    """Seed of the window's own generator."""
    seconds: float
    """Wall time of the step."""
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

    def append(self, record: StepRecord) -> None:
        """Write one line and wait until it is on disk."""
        with self.path.open("ab") as file:
            file.write(record.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def __iter__(self) -> Iterator[StepRecord]:
        """Read the finished steps in order, one line in memory at a time.

        Raises:
            ValueError: a line is no step record, or the steps are not numbered 0, 1, 2, ...
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    return
                yield self._parse(line, number)

    def _parse(self, line: bytes, number: int) -> StepRecord:
        try:
            record = StepRecord.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "line"
            raise ValueError(f"{self.path}:{number + 1} is no step record ({where}: {problem['msg']})") from error
        if record.step != number:
            raise ValueError(f"{self.path}:{number + 1} must be step {number}, got step {record.step}")
        return record

    def keep(self, num_steps: int) -> None:
        """Drop everything after the first ``num_steps`` lines, a torn line included; atomic."""
        if not self.path.exists():
            return
        shorter = self.path.with_name(self.path.name + ".partial")
        with self.path.open("rb") as old, shorter.open("wb") as new:
            new.writelines(islice(old, num_steps))
            new.flush()
            os.fsync(new.fileno())
        shorter.replace(self.path)
