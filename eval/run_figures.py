"""Which figures ``python -m eval run`` tells: the metrics that make them, and those that need no metric."""

import math

import numpy as np
from numpy.typing import NDArray

from eval import sources
from eval.extractors import InceptionExtractor, SharedExtractor, find_extractor
from eval.figures import Figure, Target
from eval.functional.bootstrap import Estimate
from eval.metric_sets import Networks, Sizes, panorama_metrics, set_metrics
from eval.metrics import ClipSim, Curve, Faithfulness, InceptionScore, seam_metrics
from eval.perceptual import Lpips, PerceptualDistance, ScapesLpips
from eval.run_config import EvaluationConfig
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import ImageMetric


def default_metrics(config: EvaluationConfig, geometry: Geometry) -> tuple[list[ImageMetric], list[Figure]]:
    """The metrics of ``--figures``, and a figure for each that cannot be had here.

    Raises:
        ValueError: a network is not known.
        FileNotFoundError: the weights of a network that was asked for are not there.
    """
    extractor = find_extractor(config.extractor or f"scapes:{config.models}")
    clip = config.clip or str(config.models / sources.EVAL_CLIP)
    metrics: list[ImageMetric] = [
        Faithfulness(config.data, config.models, config.judge),
        ClipSim(clip, "window", "global"),
    ]
    if config.figures == "few":
        inception = [] if extractor.num_classes is None else [InceptionScore(extractor, config.splits)]
        seams = seam_metrics(geometry)
        return [*metrics, ClipSim(clip, "window", "local"), *seams, *inception], []
    sizes = _sizes(config, config.panoramas * config.steps)
    steps = config.reached
    of_sets = set_metrics(extractor, sizes, real=True)
    of_steps = set_metrics(extractor, _sizes(config, config.panoramas), real=True) if len(steps) > 1 else []
    curves: list[ImageMetric] = [Curve(metric, steps) for metric in of_steps]
    distance: PerceptualDistance = ScapesLpips(config.models) if config.lpips == "scapes" else Lpips(config.lpips)
    networks = Networks(extractor, clip, distance)
    of_panoramas = panorama_metrics(networks, geometry, config.steps, config.reached, "local", real=True)
    published, unavailable = _published(config, sizes)
    return [*metrics, *of_sets, *published, *of_panoramas, *curves], unavailable


def _sizes(config: EvaluationConfig, num_windows: int) -> Sizes:
    size = config.kid_subset_size or max(min(100, num_windows), 2)
    return Sizes(min(config.splits, num_windows), config.kid_subsets, size, max(10_000, size))


def _published(config: EvaluationConfig, sizes: Sizes) -> tuple[list[ImageMetric], list[Figure]]:
    """IS, FID, KID, precision and recall as others publish them, where nothing else is asked for."""
    if config.extractor is not None:
        return [], []
    try:
        return set_metrics(SharedExtractor(InceptionExtractor()), sizes, real=True), []
    except FileNotFoundError as error:
        title = "IS, FID, KID, precision and recall with Inception"
        definition = "As published values are made, with torch-fidelity's Inception."
        blank = Figure(
            key="inception", title=title, definition=definition, unit="plain", estimate=None, reason=str(error)
        )
        return [], [blank]


def known_changed(changed_px: NDArray[np.int64]) -> Figure:
    """The figure that says whether known pixels stayed.

    Args:
        changed_px: see `lit_outpaint.heldout.rollout.Rollout`.
    """
    total = float(changed_px.sum())
    return Figure(
        key="known_pixels_changed",
        title="known pixels changed (sum over all steps)",
        definition="Pixels that were on a canvas before a step and differ after it, over all steps and panoramas.",
        unit="count",
        estimate=Estimate(total, math.nan, math.nan, len(changed_px), changed_px.size),
        real=Estimate(0.0, math.nan, math.nan, len(changed_px), changed_px.size),
        target=Target("<=", 0),
        curve=tuple(float(value) for value in changed_px.sum(axis=0)),
    )
