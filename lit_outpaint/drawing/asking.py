"""From the steps of a plan to what an engine is asked for: versions of a step, their windows, views and regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.edits import Revisions
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph, PlannedStep
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.canvas.windows import read_window, unknown_mask
from lit_outpaint.drawing.candidates import Version
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.drawing.from_layout import regions_of
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.planning.local import Layout, scene_caption
from lit_outpaint.protocols import Written


@dataclass(frozen=True, kw_only=True, eq=False)
class Asking:
    """One run: what its steps ask for, as the canvas stands."""

    canvas: Canvas
    graph: Graph
    revisions: Revisions
    global_caption: str
    config: OutpainterConfig
    regional: RegionalConfig
    layout: Layout | None
    """What stands where; None where a run has none."""
    regions_act: bool
    """Whether its regions act in windows."""
    global_view: Callable[[], UInt8[ndarray, "_ _ 3"]] | None
    """The picture of the whole scene, for ``visual_source: image_from_global_caption``."""

    def missing(self, steps: Sequence[int]) -> list[int]:
        """The steps among some that are not on the canvas."""
        return [step for step in steps if not self.canvas.is_done(step)]

    def versions(self, steps: Sequence[int], captions: Sequence[Written]) -> list[Version]:
        """What is drawn of some steps: all versions to choose from, or the one that an edit names."""
        versions = []
        for step, caption in zip(steps, captions, strict=True):
            edit = self.revisions.edit_of(step)
            seed = self.config.seed if edit is None else edit.seed
            named = None if edit is None else edit.candidate
            numbers = range(self.config.candidates) if named is None else [named]
            versions += [Version(self.graph[step], caption, seed, number) for number in numbers]
        return versions

    def request(self, version: Version) -> WindowRequest:
        """What an engine is told of a version."""
        step, window = version.step, version.step.window
        whole = all(map(self.canvas.is_done, step.depends))
        return WindowRequest(
            window=window,
            known=read_window(self.canvas, self.graph, window),
            new=version.new,
            caption=version.caption.text,
            global_caption=self._scene(window),
            view=self._view(step),
            generator=version.generator(),
            regions=regions_of(self.layout, window, self.regional) if self.regions_act else [],
            unknown=None if whole else unknown_mask(self.canvas, self.graph, window),
        )

    def _scene(self, window: Box) -> str:
        """What a window is told of the whole canvas."""
        if self.layout is None or self.config.global_with_layout == "whole":
            return self.global_caption
        return scene_caption(self.global_caption, self.layout, window)

    def _view(self, step: PlannedStep) -> UInt8[ndarray, "_ _ 3"]:
        """What the vision encoder looks at for a step: always pixels that were known before its level."""
        if self.config.visual_source == "image_from_global_caption":
            assert self.global_view is not None  # The outpainter refuses that.
            return self.global_view()
        # What is denoised together looks at what is known before any of it.
        while self.missing(step.depends):
            step = self._latest_needed(step)
        # Known pixels never change, so a view that is kept between refreshes is read again where it lies.
        while step.depends and (step.level - 1) % self.config.visual_refresh_every:
            step = self._latest_needed(step)
        return self.canvas.read(step.view)

    def _latest_needed(self, step: PlannedStep) -> PlannedStep:
        return max((self.graph[index] for index in step.depends), key=lambda needed: (needed.level, needed.index))
