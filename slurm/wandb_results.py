"""Scores of a finished cell go to the W&B run that its training logged to."""

import json
import logging
from pathlib import Path
from typing import Any

import yaml

from lit_outpaint.training.logger import WANDB_ID_NAME, RunWandbLogger

log = logging.getLogger(__name__)


def log_evaluation(run_dir: Path) -> bool:
    """Add figures, their curves over the steps and the report page, panoramas included, to the run's W&B record.

    Args:
        run_dir: of a run; its ``eval`` holds what ``python -m eval`` left.

    Returns:
        Whether the run has such a record; without one nothing is done.
    """
    metrics = run_dir / "eval" / "metrics.json"
    if not (run_dir / WANDB_ID_NAME).is_file() or not metrics.is_file():
        return False
    import wandb

    settings: dict[str, Any] = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))["wandb"]
    logger = RunWandbLogger(str(run_dir), **settings)
    run = logger.experiment
    figures: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))["figures"]
    values = {f"eval/{key}": figure["value"] for key, figure in figures.items() if figure.get("value") is not None}
    curves = {
        f"eval_by_step/{key}": dict(zip(figure["curve_steps"], figure["curve"], strict=True))
        for key, figure in figures.items()
        if figure.get("curve") and "curve_steps" in figure
    }
    run.define_metric("eval_step")
    run.define_metric("eval_by_step/*", step_metric="eval_step")
    for step in sorted({step for curve in curves.values() for step in curve}):
        row = {key: curve[step] for key, curve in curves.items() if curve.get(step) is not None}
        run.log({"eval_step": step, **row})
    report = run_dir / "eval" / "report.html"
    pages = {"eval/report": wandb.Html(report.read_text(encoding="utf-8"))} if report.is_file() else {}
    run.log({**values, **pages})
    logger.finalize("success")
    return True
