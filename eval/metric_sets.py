"""The metrics that are computed unless others are named, of sets of pictures and of panoramas that grew."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from eval.clip import EvaluationClip
from eval.extractors import FeatureExtractor
from eval.metrics import (
    FID,
    KID,
    BlockFID,
    ClipSim,
    Curve,
    Drift,
    InceptionScore,
    IntraLpips,
    MeanClipScore,
    PrecisionRecall,
    ScaleInvariantFID,
    Seam,
    seam_metrics,
)
from eval.perceptual import PerceptualDistance
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import ImageMetric

CaptionsGiven = Literal["none", "global", "local"]
"""Which captions there are; ``local`` ones come with global ones."""


class Sizes(NamedTuple):
    """How much the metrics of sets look at."""

    splits: int
    kid_subsets: int
    kid_subset_size: int
    max_samples: int


class Networks(NamedTuple):
    """What the metrics look through."""

    extractor: FeatureExtractor
    clip: str | EvaluationClip
    distance: PerceptualDistance


def set_metrics(extractor: FeatureExtractor, sizes: Sizes, *, real: bool) -> list[ImageMetric]:
    """Metrics of windows, whatever they are cut from.

    Args:
        extractor: makes the features; IS is left out where it is no classifier.
        sizes: how much they look at.
        real: whether there are real pictures.
    """
    metrics: list[ImageMetric] = [] if extractor.num_classes is None else [InceptionScore(extractor, sizes.splits)]
    if real:
        metrics += [
            FID(extractor),
            KID(extractor, sizes.kid_subsets, sizes.kid_subset_size, max_samples=sizes.max_samples),
            PrecisionRecall(extractor, max_samples=sizes.max_samples),
        ]
    return metrics


def panorama_metrics(
    networks: Networks, geometry: Geometry, num_steps: int, steps: Sequence[int], captions: CaptionsGiven, *, real: bool
) -> list[ImageMetric]:
    """Metrics of panoramas: seam, likeness to captions and within, distances of blocks, drift and curves.

    Args:
        networks: what they look through.
        geometry: direction, window and stride.
        num_steps: how many steps the panoramas grew by.
        steps: of curves; those beyond the end are left out.
        captions: which there are.
        real: whether there are real panoramas.
    """
    window_px, stride_px, direction = geometry.window_px, geometry.stride_px, geometry.direction
    clip = networks.clip
    reached = [step for step in steps if step <= num_steps]
    metrics: list[ImageMetric] = []
    curved: list[ImageMetric] = []
    if stride_px < window_px:
        metrics += seam_metrics(geometry)
        curved.append(Seam(direction, stride_px))
    if captions != "none":
        metrics += [ClipSim(clip, "panorama", "global"), MeanClipScore(clip, window_px)]
    if captions == "local":
        metrics += [ClipSim(clip, "window", "local"), ClipSim(clip, "strip", "local")]
        curved += [ClipSim(clip, "window", "local"), ClipSim(clip, "strip", "local")]
    if captions != "none":
        curved.append(ClipSim(clip, "window", "global"))
    if blocks := num_steps * stride_px // window_px:
        metrics.append(IntraLpips(networks.distance, window_px))
        if real:
            metrics += [
                BlockFID(blocks, window_px, direction, networks.extractor),
                ScaleInvariantFID(2, window_px // 2, networks.extractor),
            ]
    if len(reached) > 1:
        metrics.append(Drift(window_px, stride_px, direction, reached, clip if captions != "none" else None))
        metrics += [Curve(metric, reached) for metric in curved]
    return metrics
