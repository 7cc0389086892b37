"""Local captions out of a layout, in place of a captioner: each window is told what the layout puts there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lit_outpaint.planning.boxes import Bounds
from lit_outpaint.planning.local import Layout, local_caption
from lit_outpaint.protocols import CaptionError, Written

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction


class LayoutCaptioner:
    """Says of every step what the layout puts into its window, whatever was drawn before.

    Args:
        layout: of the whole canvas.
        window_of: the window of a step, by its number, px.
    """

    name = "layout"
    concurrency = 1

    def __init__(self, layout: Layout, window_of: Callable[[int], Bounds]) -> None:
        self.layout, self.window_of = layout, window_of

    def identity(self, call: str) -> dict[str, Any]:
        """Checksum of the layout; nothing is looked at."""
        return {"layout_sha256": hashlib.sha256(repr(self.layout).encode()).hexdigest(), "sees": False}

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
        """Return the caption of the step's window."""
        return Written(local_caption(self.layout, self.window_of(step)), self.name)

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Refuse: a layout is made, not imagined."""
        raise CaptionError("a layout writes local captions only", "no_text")

    def summarise(self, captions: Sequence[str]) -> Written:
        """Refuse: the layout follows from a caption of the whole."""
        raise CaptionError("a layout writes local captions only", "no_text")

    def describe(self, image: Image) -> Written:
        """Refuse: a layout cannot look."""
        raise CaptionError("a layout cannot look at a picture", "blind")
