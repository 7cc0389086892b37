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
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.edits import Edit, Revisions, check_same_plan, keep_candidate, set_aside, take_back
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.joint_pass import begin_pass, end_pass, undo_torn_pass
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.pasting import paste
from lit_outpaint.canvas.plan import Plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.length import cut_off
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.diffusion.schedule import check_num_steps, scheduler_class
from lit_outpaint.drawing.asking import Asking
from lit_outpaint.drawing.candidates import SeamScorer, choose, record_of
from lit_outpaint.drawing.caption_queue import CAPTIONS_NAME, CaptionQueue
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.engine import Engine, SceneText, WindowRequest
from lit_outpaint.drawing.joint import JointEngine, Stopped, check_joint
from lit_outpaint.drawing.lay_out import lay_out, stride_px_of
from lit_outpaint.drawing.rpg import read_regions
from lit_outpaint.drawing.steps import StepsEngine
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
        self.pipeline, self.config, self.regional = pipeline, config, regional
        captioner = captioner or RuleCaptioner()
        self.captioner = captioner if isinstance(captioner, WithFallback) else WithFallback(captioner)
        self.scorer = scorer or SeamScorer()
        self.window_px = config.window_px or pipeline.window_px
        self.stride_px = stride_px_of(config, self.window_px)
        self._global_view = cache(global_view) if global_view is not None else None
        if config.visual_source == "image_from_global_caption" and global_view is None:
            raise ValueError("visual_source image_from_global_caption needs a picture, global_view; got none")
        if config.compile:
            pipeline.denoiser.compiled()  # Refuses here rather than in the first window.
        if config.scheduler is not None:
            pipeline.scheduler = scheduler_class(config.scheduler).from_config(pipeline.scheduler.config)
        check_num_steps(pipeline.scheduler, config.num_inference_steps)
        self._scene = SceneText(pipeline)
        self._steps = StepsEngine(pipeline, config, self._scene, regional.end_fraction)

    def lay_out(self, plan: Plan, image_box: Box) -> Graph:
        """Where the windows of a plan lie around a first image, and what each needs; see `lay_out` for errors."""
        return lay_out(plan, image_box, self.config, self.window_px)

    def run(
        self,
        canvas: Canvas,
        graph: Graph,
        global_caption: str,
        callbacks: Sequence[StepCallback] = (),
        *,
        edits: Sequence[Edit] = (),
        layout: Layout | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_timestep: Callable[[int, int], None] = lambda done, total: None,
        on_put_back: StepCallback = lambda record: None,
    ) -> Canvas:
        """Draw the steps of a plan that the canvas does not hold yet.

        Args:
            canvas: grown in place.
            graph: all steps, finished ones included; see `lay_out`.
            global_caption: the whole scene.
            callbacks: called with the record of each step that was drawn.
            layout: what stands where on the canvas: it writes the local captions, and its regions act in engine steps.
            edits: steps that are drawn in another way, with all that builds on them; see `lit_outpaint.canvas.edits`.
            should_stop: asked before each batch; a run that it ends is continued by another call.
            on_timestep: called by engine joint, which finishes no step before the end, with timesteps done and in all.
            on_put_back: called with the record of each step that is as it was kept, because an edit or its undoing
                wants it.

        Raises:
            ValueError: the caption is empty, or the canvas was grown by another plan.
        """
        acts = layout is not None and self.config.engine == "steps"
        if acts:
            read_regions(self.pipeline, self.regional)
        check_same_plan(canvas, graph)
        asking = Asking(
            canvas=canvas,
            graph=graph,
            revisions=Revisions(graph, edits),
            global_caption=clean(global_caption),
            config=self.config,
            regional=self.regional,
            layout=layout,
            regions_act=acts,
            global_view=self._global_view,
        )
        undo_torn_pass(canvas)
        set_aside(canvas, asking.revisions)
        self.check_joint(graph, asking.missing(range(len(graph))))
        canvas.reserve(graph.box)
        ahead = self.config.captions_ahead or self.config.engine == "joint"
        with self._captions(asking, layout, edits, ahead) as captions:
            if (
                ahead and layout is None
            ):  # A layout says its captions at any time; a file would hide that it was edited.
                captions.write_all(canvas.directory / CAPTIONS_NAME, should_stop)
            try:
                engine = self._engine(asking, captions, should_stop, on_timestep, on_put_back)
            except Stopped:
                return canvas
            for batch in graph.batches(self.config.batch_size):
                missing = asking.missing(batch)
                if not missing:
                    continue
                if engine.interruptible and should_stop():
                    break
                done = _taken_back(asking, missing)
                kept = {record.step for record, _ in done}
                done += self._draw(asking, engine, captions, [step for step in missing if step not in kept])
                done.sort(key=lambda step: step[0].step)
                canvas.commit(done)
                for record, _ in done:
                    for callback in (on_put_back,) if record.step in kept else callbacks:
                        callback(record)
        end_pass(canvas)
        return canvas

    def check_joint(self, graph: Graph, steps: Iterable[int]) -> None:
        """Refuse steps that the engine cannot draw in one go; only engine joint has such limits.

        Raises:
            ValueError: see `lit_outpaint.drawing.joint.check_joint`.
        """
        if self.config.engine != "joint":
            return
        planned = [graph[step] for step in steps]
        if planned:
            check_joint(self.pipeline, self.config, graph, planned)

    def draw(self, requests: Sequence[WindowRequest]) -> UInt8[ndarray, "b h w 3"]:
        """Fill the new part of each window of a batch; the known parts come back bit for bit.

        Raises:
            ValueError: the engine draws no single windows.
        """
        if self.config.engine == "joint":
            raise ValueError("engine joint draws whole plans, not single windows; use engine steps")
        decoded = self._steps.draw(requests)
        return np.stack([self._pasted(*each) for each in zip(decoded, requests, strict=True)])

    def truncated(self, **captions: str) -> dict[str, str]:
        """What the text encoder's length cuts off, by the caption's name; empty when it reads everything."""
        cut = {name: cut_off(self.pipeline.tokenizer, caption) for name, caption in captions.items()}
        return {name: end for name, end in cut.items() if end}

    def _captions(self, asking: Asking, layout: Layout | None, edits: Sequence[Edit], ahead: bool) -> CaptionQueue:
        """The captions of a run: of its plan and its edits, of the layout, or of the captioner."""
        graph, canvas = asking.graph, asking.canvas
        given = {step: Written(text, "plan") for step, text in graph.captions.items()}
        given |= {edit.step: Written(edit.caption, edit.caption_source) for edit in edits if not edit.undone}
        captioner: Captioner = self.captioner
        if layout is not None:
            captioner = LayoutCaptioner(layout, lambda step: graph[step].window)
        read_view = None if ahead else lambda step: canvas.read(step.view)
        return CaptionQueue(captioner, graph, canvas, asking.global_caption, given, read_view)

    def _engine(
        self,
        asking: Asking,
        captions: CaptionQueue,
        should_stop: Callable[[], bool],
        on_timestep: Callable[[int, int], None],
        on_put_back: StepCallback,
    ) -> Engine:
        """What draws the windows of a run.

        Engine joint denoises all that are missing here; steps that are kept from before are put back first, as known.

        Raises:
            Stopped: before or while they were denoised; nothing is drawn then.
        """
        if self.config.engine == "steps":
            return self._steps
        canvas, graph = asking.canvas, asking.graph
        kept = _taken_back(asking, asking.missing(range(len(graph))))
        canvas.commit(kept)
        for record, _ in kept:
            on_put_back(record)
        missing = asking.missing(range(len(graph)))
        if not missing:
            return self._steps  # It will be asked for nothing.
        if should_stop():
            raise Stopped
        grid = check_joint(self.pipeline, self.config, graph, [graph[step] for step in missing])
        engine = JointEngine(self.pipeline, self.config, grid, self._scene)
        versions = asking.versions(missing, captions.take(missing))
        engine.denoise(map(asking.request, versions), should_stop, on_timestep)
        begin_pass(canvas, missing)
        return engine

    def _draw(
        self, asking: Asking, engine: Engine, captions: CaptionQueue, steps: Sequence[int]
    ) -> list[tuple[StepRecord, Pixels]]:
        """Draw steps that do not need each other and choose their versions; the canvas itself is not changed."""
        if not steps:
            return []
        texts = captions.take(steps)
        started = time.perf_counter()
        versions = asking.versions(steps, texts)
        drawn: list[Candidate] = []
        for begin in range(0, len(versions), self.config.batch_size):
            requests = [asking.request(version) for version in versions[begin : begin + self.config.batch_size]]
            for decoded, asked in zip(engine.draw(requests), requests, strict=True):
                window = self._pasted(decoded, asked)
                drawn.append(Candidate(window, decoded, asked.new, asked.caption, asked.global_caption))
        done: list[tuple[StepRecord, Pixels]] = []
        for index in steps:
            own = [pair for pair in zip(versions, drawn, strict=True) if pair[0].step.index == index]
            best, scores = choose(self.scorer, [candidate for _, candidate in own])
            earlier = [asking.canvas.record(other).local_caption for other in asking.graph.before(index, 1)]
            for place, (version, candidate) in enumerate(own):
                record, pixels = record_of(
                    version,
                    candidate,
                    scores,
                    before=earlier[0] if earlier else None,
                    revision=asking.revisions.of(index),
                    truncated=self.truncated(local=candidate.local_caption, **{"global": candidate.global_caption}),
                    seconds=round(engine.seconds_per_step + (time.perf_counter() - started) / len(steps), 3),
                )
                if place == best:
                    done.append((record, pixels))
                else:
                    keep_candidate(asking.canvas, record, pixels)
        return done

    def _pasted(self, decoded: UInt8[ndarray, "h w 3"], asked: WindowRequest) -> UInt8[ndarray, "h w 3"]:
        """The window as it is to stand on the canvas: the new part after the seam treatment, beside the known one."""
        return paste(decoded, asked.known, asked.new, self.config.seam, self.config.seam_reach_px)


def _taken_back(asking: Asking, steps: Sequence[int]) -> list[tuple[StepRecord, Pixels]]:
    """Those of some steps that are kept as an edit, or undoing one, wants them."""
    found = (take_back(asking.canvas, step, asking.revisions) for step in steps)
    return [step for step in found if step is not None]
