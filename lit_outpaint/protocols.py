"""The swappable parts: what the core asks of a captioner and of a metric, and nothing more.

Implementations need no base class; a YAML names them by ``class_path``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lit_outpaint.canvas.geometry import Direction

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class CaptionError(RuntimeError):
    """A captioner could not write a caption; the caller may turn to another captioner."""


@runtime_checkable
class Captioner(Protocol):
    """Writes captions for what a picture does not show: a language model, a cache, rules or a fixed list."""

    name: str
    """Who writes, as it stands in records: for example ``rules`` or ``file``."""

    def imagine(self, caption: str, n: int) -> list[str]:
        """Return ``n`` captions of what could lie around the frame that ``caption`` describes."""
        ...

    def summarise(self, captions: Sequence[str]) -> str:
        """Return one caption of the whole scene that the captions describe in parts."""
        ...

    def next_local(
        self, *, view: Image | None, direction: Direction, global_caption: str, previous: Sequence[str], step: int
    ) -> str:
        """Return one non-empty sentence for the next window.

        Args:
            view: what lies at the growing side; None when the caller shows nothing.
            direction: the side that grows.
            global_caption: the whole scene.
            previous: the most recent local captions, newest last.
            step: number of the step, from 0.

        Raises:
            CaptionError: no caption can be had.
        """
        ...


@runtime_checkable
class ImageMetric(Protocol):
    """A score over pictures, accumulated in batches."""

    def update(self, generated: Tensor, reference: Tensor, captions: Sequence[str]) -> None:
        """Take in a batch: pictures ``(B, 3, H, W)`` in [-1, 1], their references and captions."""
        ...

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, each under a name that says its definition."""
        ...

    def reset(self) -> None:
        """Forget everything taken in."""
        ...
