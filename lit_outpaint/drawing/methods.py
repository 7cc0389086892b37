"""Ways to draw pictures of prompts: what ``generate --method`` may name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.compositing import to_uint8
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.text_to_image import TextToImagePipeline


class Drawn(NamedTuple):
    """Pictures of some prompts."""

    pixels: UInt8[ndarray, "b h w 3"]
    notes: list[dict[str, Any]]
    """What there is to say of each, as JSON values."""
    others: Sequence[dict[str, UInt8[ndarray, "h w 3"]]] = ()
    """Pictures on the way to each, by name; none when the method makes none."""


@runtime_checkable
class PromptMethod(Protocol):
    """Draws pictures of prompts."""

    def draw(self, prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Drawn:
        """Draw one picture per prompt; what is random in it comes from its own generator."""
        ...


class BaseMethod:
    """Each prompt is drawn in one go by a text-to-image pipeline.

    Args:
        pipeline: draws.
        sampling: how.
        size: height and width in pixels; the window the model was made for when absent.
        negative_prompt: what guidance pushes away from.
    """

    def __init__(
        self,
        pipeline: TextToImagePipeline,
        sampling: Sampling,
        size: tuple[int, int] | None = None,
        negative_prompt: str | None = None,
    ) -> None:
        self.pipeline, self.sampling, self.size, self.negative_prompt = pipeline, sampling, size, negative_prompt

    def draw(self, prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Drawn:
        """Draw one picture per prompt."""
        negative = None if self.negative_prompt is None else [self.negative_prompt] * len(prompts)
        windows = self.pipeline.draw(
            prompts, sampling=self.sampling, generator=list(generators), size=self.size, negative_prompts=negative
        )
        return Drawn(to_uint8(windows), [{} for _ in prompts])
