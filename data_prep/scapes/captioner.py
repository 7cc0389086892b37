"""The truth as a captioner: what really lies where the scapes world continues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from data_prep.scapes.captions import global_caption as caption_of_stretch
from data_prep.scapes.captions import local_caption
from data_prep.scapes.windows import Place
from data_prep.scapes.world import WINDOW, Facts, World
from lit_outpaint.canvas.geometry import Box, next_window
from lit_outpaint.canvas.plan import Strips, parse_plan, stride_of
from lit_outpaint.protocols import CaptionError, Written

if TYPE_CHECKING:
    from PIL.Image import Image

    from data_prep.raw import RawRecord
    from lit_outpaint.canvas.geometry import Direction


class ScapesCaptioner:
    """Ground truth: knows the world that the first window was cut from, and says what is to be seen next to it.

    Args:
        world: seed of the world; absent in preparation, which tells the place of each window by `about`.
        x: left edge of the first window in it, px.
        y: upper edge, px; 0 is the surface.
        steps: the plan of the run, right:8,left:4 and so on: it decides where each step lies, and how far the global
            caption looks.
        overlap_px: known pixels of each window along the growing axis.

    Raises:
        ValueError: the plan is not made of steps on the four sides, or the overlap does not fit.
    """

    name = "scapes:truth"
    concurrency = 1

    def __init__(
        self, world: int | None = None, x: int = 0, y: int = 0, *, steps: str, overlap_px: int = WINDOW // 2
    ) -> None:
        self._world = None if world is None else World(world)
        self.x, self.y = x, y
        self.steps, self.overlap_px = steps, overlap_px
        self.stride_px = stride_of(WINDOW, overlap_px)
        self._windows = list(self._walk())

    def about(self, record: RawRecord) -> ScapesCaptioner:
        """The truth around the window of a record; see `data_prep.caption.PlacedCaptioner`.

        Raises:
            ValueError: the record is of another source.
        """
        if record.source != "scapes":
            raise ValueError(f"{self.name} knows the scapes world alone, not {record.source}; give another captioner")
        place = Place.parse(record.id)
        return ScapesCaptioner(place.world, place.x, place.y, steps=self.steps, overlap_px=self.overlap_px)

    @property
    def world(self) -> World:
        """The world.

        Raises:
            ValueError: none was given.
        """
        if self._world is None:
            raise ValueError(f"{self.name} must be told the world and the place of the first window, got no world")
        return self._world

    def identity(self, call: str) -> dict[str, Any]:
        """Where the panorama lies and how it is walked."""
        del call
        place = {} if self._world is None else {"world": self._world.seed, "x": self.x, "y": self.y}
        return {**place, "steps": self.steps, "stride_px": self.stride_px, "sees": False}

    def imagine(self, caption: str, n: int) -> list[Written]:
        """True captions of the windows around the first: right, left, right again, window by window."""
        del caption
        sides = ((1 + i // 2) * (1 if i % 2 == 0 else -1) for i in range(n))
        return [self._written(local_caption(self.world.facts(self.x + side * WINDOW, self.y))) for side in sides]

    def summarise(self, captions: Sequence[str]) -> Written:
        """The true global caption of all that the plan will show."""
        del captions
        box = _first()
        for _, window in self._windows:
            box = box.union(window)
        return self._written(caption_of_stretch(self._facts(box)))

    def next_local(
        self,
        *,
        view: Image | None,
        direction: Direction,
        global_caption: str,
        previous: Sequence[str],
        seen: Sequence[str],
        step: int,
    ) -> Written:
        """The true caption of the window of ``step``.

        Raises:
            ValueError: the plan ends before, or goes elsewhere.
        """
        del view, global_caption, previous, seen
        planned, window = self._windows[step] if step < len(self._windows) else ("nowhere", _first())
        if planned != direction:
            raise ValueError(
                f"the true captioner must be given the plan of the run, but by {self.steps!r} step {step + 1} goes"
                f" {planned}, not {direction}"
            )
        return self._written(local_caption(self._facts(window)))

    def describe(self, image: Image) -> Written:
        """The truth knows places, not pictures: raises ``CaptionError``."""
        del image
        raise CaptionError("the true captioner cannot look at a picture; its caption is that of the place", "blind")

    def _walk(self) -> Iterator[tuple[Direction, Box]]:
        """The window of every step, relative to the first."""
        canvas = _first()
        for part in parse_plan(self.steps):
            if not isinstance(part, Strips):
                raise ValueError(f"the true captioner follows plans such as right:8,left:4, got {self.steps!r}")
            for _ in range(part.count):
                window, strip = next_window(canvas, part.direction, WINDOW, self.stride_px, _first())
                canvas = canvas.union(strip)
                yield part.direction, window

    def _facts(self, box: Box) -> Facts:
        return self.world.facts(self.x + box.x0, self.y + box.y0, box.width, box.height)

    def _written(self, text: str) -> Written:
        return Written(text, self.name)


def _first() -> Box:
    return Box(0, 0, WINDOW, WINDOW)
