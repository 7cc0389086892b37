"""The canvas loop: plan, caption, window, composite, commit - batch after batch of independent windows, without end.

Follows the inference algorithm of Kwon et al. 2024 (arXiv:2407.12642): take the known pixels nearest the growing side,
ask for a caption, denoise one window, paste its new strip. Windows that do not need each other are drawn together. Only
windows are in memory; the canvas lies on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.edits import Edit, Revisions, check_same_plan, keep_candidate, set_aside, take_back
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph, PlannedStep
from lit_outpaint.canvas.joint_pass import begin_pass, end_pass, undo_torn_pass
from lit_outpaint.canvas.joints import paste
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.masks import box_mask
from lit_outpaint.canvas.plan import Plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.canvas.windows import read_window
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.length import cut_off
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.data.features import Features
from lit_outpaint.diffusion.schedule import scheduler_class
from lit_outpaint.drawing.candidates import SeamScorer, Version, choose, record_of
from lit_outpaint.drawing.caption_queue import CAPTIONS_NAME, CaptionQueue
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.from_layout import regions_of
from lit_outpaint.drawing.joint import JointDrawing, Stopped, check_joint
from lit_outpaint.drawing.lay_out import lay_out, stride_px_of
from lit_outpaint.drawing.rpg import read_regions
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.pipeline import OutpaintPipeline
from lit_outpaint.planning.captioner import LayoutCaptioner
from lit_outpaint.planning.local import Layout
from lit_outpaint.protocols import Candidate, CandidateScorer, Captioner, Written
from lit_outpaint.system.text import clean

StepCallback = Callable[[StepRecord], None]
"""Called after each finished step."""

Pixels = UInt8[ndarray, "_ _ 3"]


class Outpainter:
    """Grows a canvas by a plan.

    Args:
        pipeline: draws windows.
        captioner: writes the local caption of each step; rules when absent. When it fails, rules stand in for that
            step, and the record says so.
        config: how each step is drawn.
        global_view: gives the picture for ``visual_source: image_from_global_caption``; see
            `lit_outpaint.runs.global_view`.
        scorer: chooses among ``config.candidates`` versions of a window; the seam when absent.
        regional: how the regions of a layout act on windows, where a run has one.

    Raises:
        ValueError: window and overlap do not fit, or ``global_view`` is missing.
    """

    def __init__(
        self,
        pipeline: OutpaintPipeline,
        captioner: Captioner | None = None,
        config: OutpainterConfig = OutpainterConfig(),
        global_view: Callable[[], Pixels] | None = None,
        scorer: CandidateScorer | None = None,
        regional: RegionalConfig = RegionalConfig(),
    ) -> None:
        self.pipeline, self.regional = pipeline, regional
        captioner = captioner or RuleCaptioner()
        self.captioner = captioner if isinstance(captioner, WithFallback) else WithFallback(captioner)
        self.config = config
        self.scorer = scorer or SeamScorer()
        self.window_px = config.window_px or pipeline.window_px
        self.stride_px = stride_px_of(config, self.window_px)
        self._global_view = cache(global_view) if global_view is not None else None
        if config.visual_source == "image_from_global_caption" and global_view is None:
            raise ValueError("visual_source image_from_global_caption needs a picture, global_view; got none")
        self._text_of_global: tuple[str, Tensor] | None = None
        if config.compile:
            pipeline.denoiser.compiled()  # Refuses here rather than in the first window.
        if config.scheduler is not None:
            pipeline.scheduler = scheduler_class(config.scheduler).from_config(pipeline.scheduler.config)

    def lay_out(self, plan: Plan, image_box: Box) -> Graph:
        """Where the windows of a plan lie around a first image, and what each needs; see `lay_out` for errors."""
        return lay_out(plan, image_box, self.config, self.window_px)

    def run(
        self,
        canvas: Canvas,
        plan: Plan,
        global_caption: str,
        callbacks: Sequence[StepCallback] = (),
        *,
        edits: Sequence[Edit] = (),
        layout: Layout | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_timestep: Callable[[int, int], None] = lambda done, total: None,
    ) -> Canvas:
        """Do the steps of the plan that the canvas has not done yet.

        Args:
            canvas: grown in place.
            plan: all steps, finished ones included.
            global_caption: the whole scene.
            callbacks: called with the record of each finished step.
            layout: what stands where on the canvas: it writes the local captions, and its regions act in engine steps.
            edits: steps that are drawn in another way, with all that builds on them; see `lit_outpaint.canvas.edits`.
            should_stop: asked before each batch; when it says so the run ends there, to be gone on with later.
            on_timestep: called by engine joint, which finishes no step before the end, with timesteps done and in all.

        Raises:
            ValueError: the caption is empty, the plan cannot be drawn, or the canvas was grown by another plan.
        """
        global_caption = clean(global_caption)
        if layout is not None and self.config.engine == "steps":
            read_regions(self.pipeline, self.regional)
        graph = self.lay_out(plan, canvas.image_box)
        check_same_plan(canvas, graph)
        revisions = Revisions(graph, edits)
        undo_torn_pass(canvas)
        set_aside(canvas, revisions)
        self.check_joint(graph, (step for step in range(len(graph)) if not canvas.is_done(step)))
        canvas.reserve(graph.box)
        given = {step: Written(text, "plan") for step, text in graph.captions.items()}
        given |= {edit.step: Written(edit.caption, edit.caption_source) for edit in edits if not edit.undone}
        ahead = self.config.captions_ahead or self.config.engine == "joint"
        read_view = None if ahead else lambda step: canvas.read(step.view)
        captioner: Captioner = self.captioner
        if layout is not None:
            captioner = LayoutCaptioner(layout, lambda step: graph[step].window)
        with CaptionQueue(captioner, graph, canvas, global_caption, given, read_view) as captions:
            if ahead:
                captions.write_all(canvas.directory / CAPTIONS_NAME, should_stop)
            joint: JointDrawing | None = None
            if self.config.engine == "joint":
                try:
                    joint = self._walk_jointly(
                        canvas, graph, revisions, captions, global_caption, should_stop, on_timestep
                    )
                except Stopped:
                    return canvas
            for batch in graph.batches(self.config.batch_size):
                missing = [step for step in batch if not canvas.is_done(step)]
                if not missing:
                    continue
                if joint is None and should_stop():
                    break
                kept = {step: take_back(canvas, step, revisions) for step in missing}
                done = [step for step in kept.values() if step is not None]
                missing = [step for step in missing if kept[step] is None]
                if missing:
                    done += self._draw_steps(
                        canvas, graph, missing, captions.take(missing), global_caption, revisions, joint, layout
                    )
                done.sort(key=lambda step: step[0].step)
                canvas.commit(done)
                for record, _ in done:
                    for callback in callbacks:
                        callback(record)
        end_pass(canvas)
        return canvas

    def check_joint(self, graph: Graph, steps: Iterable[int]) -> None:
        """Refuse steps that the engine cannot draw in one go; only engine joint has such limits.

        Raises:
            ValueError: see `lit_outpaint.drawing.joint.check_joint`.
        """
        planned = [graph[step] for step in steps]
        if self.config.engine == "joint" and planned:
            check_joint(self.pipeline, self.config, graph, planned)

    def _walk_jointly(
        self,
        canvas: Canvas,
        graph: Graph,
        revisions: Revisions,
        captions: CaptionQueue,
        global_caption: str,
        should_stop: Callable[[], bool],
        on_timestep: Callable[[int, int], None],
    ) -> JointDrawing | None:
        """Denoise all steps that are missing; those that are kept from before are put back first, to be known.

        Raises:
            Stopped: before or while they were denoised; nothing is drawn then.
        """
        missing = [step for step in range(len(graph)) if not canvas.is_done(step)]
        canvas.commit([kept for step in missing if (kept := take_back(canvas, step, revisions)) is not None])
        missing = [step for step in missing if not canvas.is_done(step)]
        if not missing:
            return None
        if should_stop():
            raise Stopped
        versions = [
            version
            for step, caption in zip(missing, captions.take(missing), strict=True)
            for version in self._versions(graph[step], caption, revisions)
        ]

        def view(step: PlannedStep) -> Pixels:
            while any(not canvas.is_done(needed) for needed in step.depends):
                step = max((graph[needed] for needed in step.depends), key=lambda one: (one.level, one.index))
            return self._visual(canvas, graph, step)

        scenes = [global_caption] * len(versions)
        joint = JointDrawing(
            self.pipeline, self.config, canvas, graph, versions, scenes, self._global_features(scenes), view
        )
        joint.walk(should_stop, on_timestep)
        begin_pass(canvas, missing)
        return joint

    def _draw_steps(
        self,
        canvas: Canvas,
        graph: Graph,
        batch: Sequence[int],
        captions: Sequence[Written],
        global_caption: str,
        revisions: Revisions,
        joint: JointDrawing | None = None,
        layout: Layout | None = None,
    ) -> list[tuple[StepRecord, Pixels]]:
        """Draw steps that do not need each other and choose their versions; the canvas itself is not changed."""
        started = time.perf_counter()
        versions = [
            version
            for index, caption in zip(batch, captions, strict=True)
            for version in self._versions(graph[index], caption, revisions)
        ]
        known = {index: read_window(canvas, graph, graph[index].window) for index in batch}
        drawn: dict[int, list[Candidate]] = {index: [] for index in batch}
        for begin in range(0, len(versions), self.config.batch_size):
            some = versions[begin : begin + self.config.batch_size]
            windows = np.stack([known[version.step.index] for version in some])
            new = [version.new for version in some]
            if joint is not None:
                decoded = joint.decode([version.step for version in some])
            else:
                decoded = self._decode(
                    windows,
                    new,
                    [version.caption.text for version in some],
                    [global_caption] * len(some),
                    [self._visual(canvas, graph, version.step) for version in some],
                    [version.generator() for version in some],
                    [regions_of(layout, version.step.window, self.regional) for version in some],
                )
            pasted = self._paste(decoded, windows, new)
            for version, window, raw in zip(some, pasted, decoded, strict=True):
                drawn[version.step.index].append(
                    Candidate(window, raw, version.new, version.caption.text, global_caption)
                )
        chosen = {index: choose(self.scorer, candidates) for index, candidates in drawn.items()}
        walked = 0.0 if joint is None else joint.seconds_per_step
        seconds = round(walked + (time.perf_counter() - started) / len(batch), 3)
        done: list[tuple[StepRecord, Pixels]] = []
        for index in batch:
            best, scores = chosen[index]
            own = [version for version in versions if version.step.index == index]
            for place, (version, candidate) in enumerate(zip(own, drawn[index], strict=True)):
                before = [canvas.record(other).local_caption for other in graph.before(index, 1)]
                truncated = self.truncated(local=version.caption.text, **{"global": global_caption})
                record, pixels = record_of(
                    version,
                    candidate,
                    scores,
                    before=before[0] if before else None,
                    revision=revisions.of(index),
                    truncated=truncated,
                    seconds=seconds,
                )
                if place == best:
                    done.append((record, pixels))
                else:
                    keep_candidate(canvas, record, pixels)
        return done

    def _versions(self, step: PlannedStep, caption: Written, revisions: Revisions) -> list[Version]:
        """What is drawn of a step: all versions to choose from, or the one that an edit names."""
        edit = revisions.edit_of(step.index)
        seed = self.config.seed if edit is None else edit.seed
        named = None if edit is None else edit.candidate
        numbers = range(self.config.candidates) if named is None else [named]
        return [Version(step, caption, seed, number) for number in numbers]

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

        Raises:
            ValueError: the engine draws no single windows.
        """
        if self.config.engine == "joint":
            raise ValueError("engine joint draws whole plans, not single windows; use engine steps")
        decoded = self._decode(known, new, local_captions, global_captions, views, generators)
        return self._paste(decoded, known, new)

    def _decode(
        self,
        known: UInt8[ndarray, "b h w 3"],
        new: Sequence[Box],
        local_captions: Sequence[str],
        global_captions: Sequence[str],
        views: Sequence[UInt8[ndarray, "_ _ 3"]],
        generators: Sequence[torch.Generator],
        regions: Sequence[Sequence[RegionPrompt]] = (),
    ) -> UInt8[ndarray, "b h w 3"]:
        """Whole windows as the model draws them; see `draw`."""
        config = self.config
        return to_uint8(
            self.pipeline.draw(
                to_pixel_values(known),
                torch.stack([box_mask(box, *known.shape[1:3]) for box in new]),
                local_captions,
                global_captions,
                [to_pixel_values(view[None])[0] for view in views],
                sampling=config,
                feather_cells=config.seam_feather_cells,
                generator=generators,
                features=self._global_features(global_captions),
                compiled=config.compile,
                regions=regions or None,
                end_fraction=self.regional.end_fraction,
            )
        )

    def _paste(
        self, decoded: UInt8[ndarray, "b h w 3"], known: UInt8[ndarray, "b h w 3"], new: Sequence[Box]
    ) -> UInt8[ndarray, "b h w 3"]:
        """Windows as they are to stand on the canvas: the new part after the seam treatment, beside the known one."""
        seam, reach_px = self.config.seam, self.config.seam_reach_px
        return np.stack([paste(*each, seam, reach_px) for each in zip(decoded, known, new, strict=True)])

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

    def _global_features(self, captions: Sequence[str]) -> Features:
        """Text features of the global captions; those of the last run of equal captions are kept."""
        if len(set(captions)) > 1 or "text_global" not in self.pipeline.context.needs:
            return Features()
        if self._text_of_global is None or self._text_of_global[0] != captions[0]:
            self._text_of_global = (captions[0], self.pipeline.encoders.encode_text(captions[:1]))
        return Features(text_global=self._text_of_global[1].expand(len(captions), -1, -1))
