"""Metrics as torchmetrics classes; a YAML names them by ``class_path: eval.metrics.FID``."""

from eval.metrics.clip_sim import ClipSim, MeanClipScore
from eval.metrics.curve import Curve
from eval.metrics.drift import Drift
from eval.metrics.faithfulness import Faithfulness
from eval.metrics.fid import FID
from eval.metrics.inception_score import InceptionScore
from eval.metrics.intra_lpips import IntraLpips
from eval.metrics.kid import KID
from eval.metrics.precision_recall import PrecisionRecall
from eval.metrics.seam import Seam, seam_metrics
from eval.metrics.wide_fid import BlockFID, ScaleInvariantFID

__all__ = [
    "FID",
    "KID",
    "BlockFID",
    "ClipSim",
    "Curve",
    "Drift",
    "Faithfulness",
    "InceptionScore",
    "IntraLpips",
    "MeanClipScore",
    "PrecisionRecall",
    "ScaleInvariantFID",
    "Seam",
    "seam_metrics",
]
