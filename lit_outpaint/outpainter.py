"""The canvas loop: plan, caption, window, composite, commit - batch after batch of independent windows, without end.

Follows the inference algorithm of Kwon et al. 2024 (arXiv:2407.12642): take the known pixels nearest the growing side,
ask for a caption, denoise one window, paste its new strip. Windows that do not need each other are drawn together. Only
windows are in memory; the canvas lies on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from lit_outpaint.canvas.compositing import composite, crop, to_pixel_values, to_uint8
from lit_outpaint.canvas.edits import Edit, Revisions, set_aside, take_back
from lit_outpaint.canvas.geometry import Box, box_mask
from lit_outpaint.canvas.graph import Graph, PlannedStep, build_graph
from lit_outpaint.canvas.joints import treat_joints
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import Plan, stride_of
from lit_outpaint.canvas.seams import SeamTreatment
from lit_outpaint.canvas.seeding import window_generator, window_seed
from lit_outpaint.canvas.store import Canvas, checksum
from lit_outpaint.caption_queue import CaptionQueue
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.length import cut_off
from lit_outpaint.captions.objects import caption_similarity
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.captions.scene import clean
from lit_outpaint.pipeline import OutpaintPipeline, Uncond, scheduler_class
from lit_outpaint.protocols import Captioner, Written

StepCallback = Callable[[StepRecord], None]
"""Called after each finished step."""

VisualSource = Literal["canvas_so_far", "visible_part_of_window", "image_from_global_caption"]
Pixels = UInt8[ndarray, "_ _ 3"]

CAPTIONS_NAME = "captions.jsonl"
"""What ``captions_ahead`` has written, in the directory of the canvas."""


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
    visual_source: VisualSource = "canvas_so_far"
    """What the vision encoder looks at: the canvas behind the growing side, the known part of the window alone, or one
    picture of the whole scene that the family's text-to-image model draws from the global caption."""
    visual_span_px: int | None = None
    """How far back canvas_so_far looks; one window when absent, so that memory stays constant."""
    visual_refresh_every: int = 1
    """The vision encoder looks at the canvas anew at every so many steps of a chain; between them it keeps the view."""
    captions_ahead: bool = False
    """Write all captions before the first window is drawn, from text alone; else a captioner that can see is shown the
    newest pixels, and each is asked for as early as that allows."""
    batch_size: int = 8
    """At most so many windows are drawn together, where the plan has so many that do not need each other; does not
    change the picture."""
    seam: SeamTreatment = "poisson"
    """How the new side is made to meet the known pixels: pasted as it is (none), its colours matched (colour), or the
    error at the joint spread over it (poisson)."""
    seam_reach_px: int = 8
    """For poisson: over how many new pixels a thing fades out that is cut off at the joint."""
    seam_feather_cells: int = 0
    """Hold the latents of the known side in place while denoising, with a feather of so many cells; 0 is off."""
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
        if self.seam_feather_cells < 0:
            raise ValueError(f"seam_feather_cells must not be negative, got {self.seam_feather_cells}")
        for name in ("visual_refresh_every", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.visual_span_px is not None and self.visual_span_px < 1:
            raise ValueError(f"visual_span_px must be positive, got {self.visual_span_px}")
        if self.scheduler is not None:
            scheduler_class(self.scheduler)


class Outpainter:
    """Grows a canvas by a plan.

    Args:
        pipeline: draws windows.
        captioner: writes the local caption of each step; rules when absent. When it fails, rules stand in for that
            step, and the record says so.
        config: how each step is drawn.
        global_view: gives the picture for ``visual_source: image_from_global_caption``; see `lit_outpaint.global_view`.

    Raises:
        ValueError: window and overlap do not fit, or ``global_view`` is missing.
    """

    def __init__(
        self,
        pipeline: OutpaintPipeline,
        captioner: Captioner | None = None,
        config: OutpainterConfig = OutpainterConfig(),
        global_view: Callable[[], Pixels] | None = None,
    ) -> None:
        self.pipeline = pipeline
        captioner = captioner or RuleCaptioner()
        self.captioner = captioner if isinstance(captioner, WithFallback) else WithFallback(captioner)
        self.config = config
        self.window_px = config.window_px or pipeline.window_px
        self.stride_px = stride_of(self.window_px, config.overlap_px or self.window_px // 2)
        self._global_view = cache(global_view) if global_view is not None else None
        if config.visual_source == "image_from_global_caption" and global_view is None:
            raise ValueError("visual_source image_from_global_caption needs a picture, global_view; got none")
        self._text_of_global: tuple[str, Tensor] | None = None
        if config.scheduler is not None:
            pipeline.scheduler = scheduler_class(config.scheduler).from_config(pipeline.scheduler.config)

    def lay_out(self, plan: Plan, image_box: Box) -> Graph:
        """Where the windows of a plan lie around a first image, and what each needs.

        Raises:
            ValueError: the plan cannot be drawn there, or not with this config.
        """
        config = self.config
        span_px = config.visual_span_px or self.window_px
        graph = build_graph(
            plan,
            image_box,
            self.window_px,
            self.stride_px,
            None if config.visual_source == "visible_part_of_window" else span_px,
        )
        if config.seam_feather_cells and not all(step.is_strip for step in graph):
            raise ValueError("seam_feather_cells needs windows with one joint, not corners or rings; set it to 0")
        return graph

    def run(
        self,
        canvas: Canvas,
        plan: Plan,
        global_caption: str,
        callbacks: Sequence[StepCallback] = (),
        *,
        edits: Sequence[Edit] = (),
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Canvas:
        """Do the steps of the plan that the canvas has not done yet.

        Args:
            canvas: grown in place.
            plan: all steps, finished ones included.
            global_caption: the whole scene.
            callbacks: called with the record of each finished step.
            edits: steps that are drawn in another way, with all that builds on them; see `lit_outpaint.canvas.edits`.
            should_stop: asked before each batch; when it says so the run ends there, to be gone on with later.

        Raises:
            ValueError: the caption is empty, the plan cannot be drawn, or the canvas was grown by another plan.
        """
        global_caption = clean(global_caption)
        graph = self.lay_out(plan, canvas.image_box)
        check_same_plan(canvas, graph)
        revisions = Revisions(graph, edits)
        set_aside(canvas, revisions)
        canvas.reserve(graph.box)
        given = {step: Written(text, "plan") for step, text in graph.captions.items()}
        given |= {edit.step: Written(edit.caption, edit.caption_source) for edit in edits if not edit.undone}
        read_view = None if self.config.captions_ahead else lambda step: canvas.read(step.view)
        with CaptionQueue(self.captioner, graph, canvas, global_caption, given, read_view) as captions:
            if self.config.captions_ahead:
                captions.write_all(canvas.directory / CAPTIONS_NAME, should_stop)
            for batch in graph.batches(self.config.batch_size):
                missing = [step for step in batch if not canvas.is_done(step)]
                if not missing:
                    continue
                if should_stop():
                    break
                kept = {step: take_back(canvas, step, revisions.of(step)) for step in missing}
                done = [step for step in kept.values() if step is not None]
                missing = [step for step in missing if kept[step] is None]
                if missing:
                    done += self._draw_steps(canvas, graph, missing, captions.take(missing), global_caption, revisions)
                done.sort(key=lambda step: step[0].step)
                canvas.commit(done)
                for record, _ in done:
                    for callback in callbacks:
                        callback(record)
        return canvas

    def _draw_steps(
        self,
        canvas: Canvas,
        graph: Graph,
        batch: Sequence[int],
        captions: Sequence[Written],
        global_caption: str,
        revisions: Revisions,
    ) -> list[tuple[StepRecord, Pixels]]:
        """Draw steps that do not need each other; the canvas is read, not changed."""
        started = time.perf_counter()
        steps = [graph[index] for index in batch]
        edits = [revisions.edit_of(index) for index in batch]
        seeds = [self.config.seed if edit is None else edit.seed for edit in edits]
        drawn = self.draw(
            np.stack([_read_window(canvas, graph, step) for step in steps]),
            [step.new.shift(-step.window.x0, -step.window.y0) for step in steps],
            [caption.text for caption in captions],
            [global_caption] * len(steps),
            views=[self._visual(canvas, graph, step) for step in steps],
            generators=[
                window_generator(seed, step.window, step.direction) for seed, step in zip(seeds, steps, strict=True)
            ],
        )
        pixels = [crop(window, step.window, step.new) for window, step in zip(drawn, steps, strict=True)]
        truncated = [self.truncated(local=caption.text, **{"global": global_caption}) for caption in captions]
        before = [[canvas.record(other).local_caption for other in graph.before(index, 1)] for index in batch]
        seconds = round((time.perf_counter() - started) / len(steps), 3)
        records = [
            StepRecord(
                step=step.index,
                revision=revisions.of(step.index),
                direction=step.direction,
                window=step.window.as_tuple(),
                strip=step.new.as_tuple(),
                local_caption=caption.text,
                global_caption=global_caption,
                caption_source=caption.writer,
                caption_instead_of=caption.instead_of,
                caption_similarity=round(caption_similarity(caption.text, before[i][0]), 4) if before[i] else None,
                truncated=truncated[i],
                seed=window_seed(seeds[i], step.window, step.direction),
                seconds=seconds,
                checksum=checksum(pixels[i]),
            )
            for i, (step, caption) in enumerate(zip(steps, captions, strict=True))
        ]
        return list(zip(records, pixels, strict=True))

    def draw(
        self,
        known: UInt8[ndarray, "b h w 3"],
        new: Sequence[Box],
        local_captions: Sequence[str],
        global_captions: Sequence[str],
        views: Sequence[UInt8[ndarray, "_ _ 3"]],
        generators: Sequence[torch.Generator],
    ) -> UInt8[ndarray, "b h w 3"]:
        """Fill the new part of each window of a batch; the known parts come back bit for bit.

        Args:
            known: windows as they stand on their canvases; the new part is not read.
            new: the new part of each, in window coordinates.
            local_captions: one per window.
            global_captions: one per window.
            views: what the vision encoder looks at, one per window, of any size.
            generators: one per window.
        """
        config = self.config
        masks = torch.stack([box_mask(box, *known.shape[1:3]) for box in new])
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
                feather_cells=config.seam_feather_cells,
                generator=generators,
                text_global=self._global_features(global_captions),
            )
        )
        treated = [
            treat_joints(window, old, box, config.seam, config.seam_reach_px)
            for window, old, box in zip(generated, known, new, strict=True)
        ]
        return np.stack([composite(old, window, mask) for old, window, mask in zip(known, treated, masks, strict=True)])

    def truncated(self, **captions: str) -> dict[str, str]:
        """What the text encoder's length cuts off, by the caption's name; empty when it reads everything."""
        cut = {name: cut_off(self.pipeline.tokenizer, caption) for name, caption in captions.items()}
        return {name: end for name, end in cut.items() if end}

    def _visual(self, canvas: Canvas, graph: Graph, step: PlannedStep) -> Pixels:
        """What the vision encoder looks at for a step: always pixels that were known before its level."""
        if self.config.visual_source == "image_from_global_caption":
            assert self._global_view is not None  # The constructor refuses that.
            return self._global_view()
        # Known pixels never change, so a view that is kept between refreshes is read again where it lies.
        while step.depends and (step.level - 1) % self.config.visual_refresh_every:
            step = max((graph[index] for index in step.depends), key=lambda needed: (needed.level, needed.index))
        return canvas.read(step.view)

    def _global_features(self, captions: Sequence[str]) -> Tensor:
        """Text features of the global captions; those of the last run of equal captions are kept."""
        encode = self.pipeline.encoders.encode_text
        if len(set(captions)) > 1:
            return encode(captions)
        if self._text_of_global is None or self._text_of_global[0] != captions[0]:
            self._text_of_global = (captions[0], encode(captions[:1]))
        return self._text_of_global[1].expand(len(captions), -1, -1)


def check_same_plan(canvas: Canvas, graph: Graph) -> None:
    """Refuse a canvas whose steps lie elsewhere than the plan's.

    Raises:
        ValueError: another plan, window size or overlap drew the canvas.
    """
    for record in canvas.journal:
        planned = graph[record.step] if record.step < len(graph) else None
        if planned is None or (planned.window.as_tuple(), planned.new.as_tuple()) != (record.window, record.strip):
            raise ValueError(
                f"{canvas.directory} was drawn by another plan, window size or overlap: its step {record.step} lies at "
                f"{list(record.strip)}; give the settings of that run"
            )


def _read_window(canvas: Canvas, graph: Graph, step: PlannedStep) -> Pixels:
    """The window of a step as it stands; unknown pixels are 0."""
    return np.concatenate([canvas.read(place) for _, place in graph.parts_of(step.window)], axis=1)
