"""The loss curve of a training run, read from the ``metrics.csv`` of the CSV logger."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

LOSS_COLUMN = "train/loss"
STEP_COLUMN = "step"
NUM_POINTS = 200


class LossCurve(NamedTuple):
    """Loss against optimiser step, thinned by averaging neighbours."""

    steps: list[float]
    losses: list[float]


def read_loss_curve(path: Path, num_points: int = NUM_POINTS) -> LossCurve:
    """Read ``step`` and ``train/loss`` and average them into at most ``num_points`` points.

    Also takes the ``train/loss_step`` column that the logger writes when a loss is logged per step and per epoch.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no loss.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the loss curve must be a metrics.csv of the CSV logger, found no file {path}")
    steps, losses = [], []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            loss = row.get(LOSS_COLUMN) or row.get(f"{LOSS_COLUMN}_step")
            # A run that diverged says nan from some step on.
            if loss and row.get(STEP_COLUMN) and math.isfinite(float(loss)):
                steps.append(float(row[STEP_COLUMN]))
                losses.append(float(loss))
    if not steps:
        raise ValueError(f"{path} must have the columns {STEP_COLUMN} and {LOSS_COLUMN} with values, found none")
    parts = min(num_points, len(steps))
    return LossCurve(
        [float(part.mean()) for part in np.array_split(np.array(steps), parts)],
        [float(part.mean()) for part in np.array_split(np.array(losses), parts)],
    )
