"""Metrics as torchmetrics classes; a YAML names them by ``class_path: eval.metrics.FID``."""

from eval.metrics.fid import FID
from eval.metrics.inception_score import InceptionScore
from eval.metrics.kid import KID
from eval.metrics.precision_recall import PrecisionRecall

__all__ = ["FID", "KID", "InceptionScore", "PrecisionRecall"]
