"""The canvas loop: plan, caption, window, composite, commit - one step at a time, without end.

Follows the inference algorithm of Kwon et al. 2024 (arXiv:2407.12642): take the known pixels nearest the growing side,
ask for a caption, denoise one window, paste its new strip. Only windows are in memory; the canvas lies on disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from lit_outpaint.canvas.compositing import composite, crop, match_seam, to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import Box, Direction, anchor_window, next_window, outpaint_mask
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import Plan, stride_of
from lit_outpaint.canvas.seeding import window_generator, window_seed
from lit_outpaint.canvas.store import Canvas, checksum
from lit_outpaint.captions.length import cut_off
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.captions.scene import clean
from lit_outpaint.pipeline import OutpaintPipeline, Uncond, scheduler_class
from lit_outpaint.protocols import Captioner, CaptionError

log = logging.getLogger(__name__)

StepCallback = Callable[[StepRecord], None]
"""Called after each finished step."""


@dataclass(frozen=True, kw_only=True)
class OutpainterConfig:
    """How each step is drawn."""

    seed: int = 0
    """Same seed, same picture."""
    window_px: int | None = None
    """Side of the square window; the side the model was trained with when absent."""
    overlap_px: int | None = None
    """Known pixels of each window along the growing axis; half a window when absent."""
    num_inference_steps: int = 25
    """Denoising steps per window."""
    guidance_scale: float = 3.0
    """1 is no guidance, larger obeys the captions more."""
    guidance_rescale: float = 0.0
    """Share in [0, 1] by which guidance's over-exposure is taken back."""
    uncond: Uncond = "text"
    """What the unconditional branch of guidance drops."""
    visual_source: Literal["canvas_so_far", "visible_part_of_window"] = "canvas_so_far"
    """What the vision encoder looks at: the canvas behind the growing side, or the known part of the window alone."""
    visual_span_px: int | None = None
    """How far back canvas_so_far looks; one window when absent, so that memory stays constant."""
    seam_reach_px: int = 8
    """How far the decoder's colour error at the joint is carried into the new side, fading out; 0 turns it off."""
    scheduler: str | None = None
    """A diffusers scheduler class by name, such as DPMSolverMultistepScheduler; the model's own when absent."""

    def __post_init__(self) -> None:
        if self.num_inference_steps < 1:
            raise ValueError(f"num_inference_steps must be at least 1, got {self.num_inference_steps}")
        if self.guidance_scale < 1:
            raise ValueError(f"guidance_scale must be at least 1 (no guidance), got {self.guidance_scale}")
        if not 0 <= self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale must lie in [0, 1], got {self.guidance_rescale}")
        if self.seam_reach_px < 0:
            raise ValueError(f"seam_reach_px must not be negative, got {self.seam_reach_px}")
        if self.visual_span_px is not None and self.visual_span_px < 1:
            raise ValueError(f"visual_span_px must be positive, got {self.visual_span_px}")
        if self.scheduler is not None:
            scheduler_class(self.scheduler)


class Outpainter:
    """Grows a canvas by a plan.

    Args:
        pipeline: draws windows.
        captioner: writes the local caption of each step; rules when absent. When it fails, rules stand in for that
            step.
        config: how each step is drawn.

    Raises:
        ValueError: window and overlap do not fit.
    """

    def __init__(
        self,
        pipeline: OutpaintPipeline,
        captioner: Captioner | None = None,
        config: OutpainterConfig = OutpainterConfig(),
    ) -> None:
        self.pipeline = pipeline
        self.captioner = captioner or RuleCaptioner()
        self.config = config
        self.window_px = config.window_px or pipeline.window_px
        self.stride_px = stride_of(self.window_px, config.overlap_px or self.window_px // 2)
        self._text_of_global: tuple[str, Tensor] | None = None
        if config.scheduler is not None:
            pipeline.scheduler = scheduler_class(config.scheduler).from_config(pipeline.scheduler.config)

    def run(self, canvas: Canvas, plan: Plan, global_caption: str, callbacks: Sequence[StepCallback] = ()) -> Canvas:
        """Do the steps of the plan that the canvas has not done yet.

        Args:
            canvas: grown in place; its finished steps count as the first steps of the plan.
            plan: all steps, finished ones included.
            global_caption: the whole scene.
            callbacks: called with the record of each finished step.

        Raises:
            ValueError: the caption is empty, or the first image is smaller than a window.
        """
        global_caption = clean(global_caption)
        canvas.reserve(plan.extent(canvas.image_box, self.stride_px, self.window_px))
        for direction in islice(plan, canvas.num_steps, None):
            record, strip = self.step(canvas, direction, global_caption)
            canvas.commit(record, strip)
            for callback in callbacks:
                callback(record)
        return canvas

    def step(
        self, canvas: Canvas, direction: Direction, global_caption: str
    ) -> tuple[StepRecord, UInt8[ndarray, "h w 3"]]:
        """Draw the next strip on one side; the canvas is read, not changed."""
        started = time.perf_counter()
        anchor = anchor_window(canvas.image_box, self.window_px)
        window, strip = next_window(canvas.box, direction, self.window_px, self.stride_px, anchor)
        view = canvas.read(self._view_box(canvas, window, strip, direction))
        local_caption, source = self._caption(canvas, view, direction, global_caption)
        drawn = self.draw(
            canvas.read(window)[None],
            direction,
            [local_caption],
            [global_caption],
            views=[view],
            generators=[window_generator(self.config.seed, window, direction)],
        )[0]
        pixels = crop(drawn, window, strip)
        record = StepRecord(
            step=canvas.num_steps,
            direction=direction,
            window=window.as_tuple(),
            strip=strip.as_tuple(),
            local_caption=local_caption,
            global_caption=global_caption,
            caption_source=source,
            truncated=self.truncated(local=local_caption, **{"global": global_caption}),
            seed=window_seed(self.config.seed, window, direction),
            seconds=round(time.perf_counter() - started, 3),
            checksum=checksum(pixels),
        )
        return record, pixels

    def draw(
        self,
        known: UInt8[ndarray, "b h w 3"],
        direction: Direction,
        local_captions: Sequence[str],
        global_captions: Sequence[str],
        views: Sequence[UInt8[ndarray, "_ _ 3"]],
        generators: Sequence[torch.Generator],
    ) -> UInt8[ndarray, "b h w 3"]:
        """Fill the growing side of a batch of windows; their known sides come back bit for bit.

        Args:
            known: windows as they stand on their canvases; the new side is not read.
            direction: the side that grows, the same for all.
            local_captions: one per window.
            global_captions: one per window.
            views: what the vision encoder looks at, one per window, of any size.
            generators: one per window.
        """
        config = self.config
        mask = outpaint_mask(direction, self.stride_px / self.window_px, *known.shape[1:3])
        masks = mask.expand(len(known), *mask.shape)
        generated = to_uint8(
            self.pipeline(
                to_pixel_values(known),
                masks,
                local_captions,
                visual_image=[to_pixel_values(view[None])[0] for view in views],
                num_inference_steps=config.num_inference_steps,
                guidance_scale=config.guidance_scale,
                guidance_rescale=config.guidance_rescale,
                uncond=config.uncond,
                generator=generators,
                text_global=self._global_features(global_captions),
            )
        )
        matched = [
            match_seam(new, old, direction, self.stride_px, config.seam_reach_px)
            for new, old in zip(generated, known, strict=True)
        ]
        return np.stack([composite(old, new, mask) for old, new in zip(known, matched, strict=True)])

    def truncated(self, **captions: str) -> dict[str, str]:
        """What the text encoder's length cuts off, by the caption's name; empty when it reads everything."""
        cut = {name: cut_off(self.pipeline.tokenizer, caption) for name, caption in captions.items()}
        return {name: end for name, end in cut.items() if end}

    def _view_box(self, canvas: Canvas, window: Box, strip: Box, direction: Direction) -> Box:
        """What the vision encoder looks at; always known pixels, at the growing side."""
        span = self.window_px - self.stride_px
        if self.config.visual_source == "canvas_so_far":
            span = self.config.visual_span_px or self.window_px
        box = canvas.box
        if direction == "right":
            return Box(max(strip.x0 - span, box.x0), window.y0, strip.x0, window.y1)
        if direction == "left":
            return Box(strip.x1, window.y0, min(strip.x1 + span, box.x1), window.y1)
        if direction == "down":
            return Box(window.x0, max(strip.y0 - span, box.y0), window.x1, strip.y0)
        return Box(window.x0, strip.y1, window.x1, min(strip.y1 + span, box.y1))

    def _caption(
        self, canvas: Canvas, view: UInt8[ndarray, "h w 3"], direction: Direction, global_caption: str
    ) -> tuple[str, str]:
        """The local caption and who wrote it."""
        previous = [record.local_caption for record in canvas.recent]
        writers = [self.captioner, RuleCaptioner()]
        for writer in writers:
            try:
                text = writer.next_local(
                    view=Image.fromarray(view),
                    direction=direction,
                    global_caption=global_caption,
                    previous=previous,
                    step=canvas.num_steps,
                )
                return clean(text), writer.name
            except (CaptionError, ValueError) as error:
                log.warning("step %d: captioner %s wrote no caption: %s", canvas.num_steps + 1, writer.name, error)
        raise AssertionError("the rule captioner writes a caption for any global caption")

    def _global_features(self, captions: Sequence[str]) -> Tensor:
        """Text features of the global captions; those of the last run of equal captions are kept."""
        encode = self.pipeline.encoders.encode_text
        if len(set(captions)) > 1:
            return encode(captions)
        if self._text_of_global is None or self._text_of_global[0] != captions[0]:
            self._text_of_global = (captions[0], encode(captions[:1]))
        return self._text_of_global[1].expand(len(captions), -1, -1)
