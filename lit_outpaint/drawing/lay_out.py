"""Where the windows of a plan lie: a question of sizes alone, which needs no model."""

from __future__ import annotations

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph, build_graph
from lit_outpaint.canvas.plan import Plan, stride_of
from lit_outpaint.drawing.config import OutpainterConfig


def stride_px_of(config: OutpainterConfig, window_px: int) -> int:
    """New pixels of a step, for a model that draws windows of ``window_px``.

    Raises:
        ValueError: window and overlap do not fit.
    """
    return stride_of(window_px, window_px // 2 if config.overlap_px is None else config.overlap_px)


def lay_out(plan: Plan, image_box: Box, config: OutpainterConfig, window_px: int) -> Graph:
    """Where the windows of a plan lie around a first image, and what each needs.

    Raises:
        ValueError: the plan cannot be drawn there, or not with this config.
    """
    seen_px = config.visual_span_px or window_px
    span_px = None if config.visual_source == "visible_part_of_window" else seen_px
    graph = build_graph(plan, image_box, window_px, stride_px_of(config, window_px), span_px)
    if config.seam_feather_cells and not all(step.is_strip for step in graph):
        raise ValueError("seam_feather_cells needs windows with one seam, not corners or rings; set it to 0")
    return graph
