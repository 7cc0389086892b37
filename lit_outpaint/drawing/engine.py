"""What an engine is asked for, a window at a time, and the face that every engine has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.masks import box_mask
from lit_outpaint.data.features import Features
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.pipeline import OutpaintPipeline


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowRequest:
    """A window that is to be drawn, and everything that an engine is told of it."""

    window: Box
    """Where it lies on its canvas."""
    known: UInt8[ndarray, "h w 3"]
    """The window as it stands there; what `mask` marks is not read."""
    new: Box
    """The part that the window adds to its canvas, in window coordinates."""
    caption: str
    """What the window shows."""
    global_caption: str
    """The whole scene."""
    view: UInt8[ndarray, "_ _ 3"]
    """What the vision encoder looks at, of any size."""
    generator: torch.Generator
    """Draws the noise of this window and of no other."""
    regions: Sequence[RegionPrompt] = ()
    """Parts of the window with prompts of their own."""
    unknown: Float[Tensor, "1 h w"] | None = None
    """1 where nothing is known yet, where that is more than the new part: in windows that are denoised together."""

    @property
    def mask(self) -> Float[Tensor, "1 h w"]:
        """1 = generate, 0 = keep."""
        return box_mask(self.new, *self.known.shape[:2]) if self.unknown is None else self.unknown


@runtime_checkable
class Engine(Protocol):
    """Draws windows."""

    @property
    def interruptible(self) -> bool:
        """Whether a run may stop between two calls."""
        ...

    @property
    def seconds_per_step(self) -> float:
        """What each step has cost before it is asked for."""
        ...

    def draw(self, requests: Sequence[WindowRequest]) -> UInt8[ndarray, "b h w 3"]:
        """Whole windows as the model draws them, the known part included."""
        ...


class SceneText:
    """Text features of global captions; those of the last run of equal captions are kept.

    Args:
        pipeline: encodes.
    """

    def __init__(self, pipeline: OutpaintPipeline) -> None:
        self._pipeline = pipeline
        self._kept: tuple[str, Tensor] | None = None

    def of(self, requests: Sequence[WindowRequest]) -> Features:
        """The features of a batch; none where captions differ, or where the conditioning reads none."""
        captions = {request.global_caption for request in requests}
        if len(captions) > 1 or "text_global" not in self._pipeline.context.needs:
            return Features()
        (caption,) = captions
        if self._kept is None or self._kept[0] != caption:
            self._kept = (caption, self._pipeline.encoders.encode_text([caption]))
        return Features(text_global=self._kept[1].expand(len(requests), -1, -1))
