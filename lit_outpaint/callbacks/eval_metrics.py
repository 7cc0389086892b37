"""Metrics of outpainted held-out panoramas, during training."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image

from lit_outpaint.assembly import lent_pipeline
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.heldout.evalset import EvalPanorama
from lit_outpaint.heldout.feed import PanoramaBatch, compared, computed, named_by_geometry
from lit_outpaint.heldout.panoramas import load_panoramas, view_px, walk_of
from lit_outpaint.heldout.rollout import roll_out
from lit_outpaint.heldout.walks import Geometry, Pixels
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.protocols import ImageMetric
from lit_outpaint.system.ranks import Share

log = logging.getLogger(__name__)


class EvalMetrics(Callback):
    """Outpaints held-out panoramas in validation and scores them, with the averaged weights.

    Panoramas are dealt to the ranks; every metric joins what the ranks saw, so that its numbers are those of one
    process. Scores are logged as ``val/NAME`` and, while a run trains, written with the pictures to
    ``eval/step-NNNNNNN`` in its directory; points over steps go to W&B as line charts too. Training continues as if
    nothing had been drawn: random generators and parts are put back.
    """

    def __init__(
        self,
        metrics: list[ImageMetric],
        data: Path | None = None,
        panoramas: int = 8,
        steps: int = 8,
        direction: Direction = "right",
        every_n_steps: int = 1,
        shown: int = 4,
        batch_size: int = 8,
        sampling: OutpainterConfig = OutpainterConfig(),
    ) -> None:
        """Configure.

        Args:
            metrics: any, such as ``class_path: eval.metrics.ClipSim``.
            data: shard set whose held-out panoramas are used; that of training when absent.
            panoramas: how many, the first by key, over all ranks.
            steps: how many steps each grows.
            direction: which panoramas of the set.
            every_n_steps: validations that follow the last scored one by fewer optimiser steps are left out.
            shown: panoramas that are logged and written, drawn above real.
            batch_size: windows drawn at once; does not change the pictures.
            sampling: how windows are drawn; window and overlap are those of the panoramas.

        Raises:
            ValueError: a count is not positive, or there are no metrics.
        """
        counts = {"panoramas": panoramas, "steps": steps, "every_n_steps": every_n_steps, "batch_size": batch_size}
        wrong = {name: count for name, count in counts.items() if count < 1}
        if wrong or shown < 0 or not metrics:
            raise ValueError(
                f"{', '.join(counts)} must be at least 1, shown at least 0 and metrics not empty; got "
                f"{wrong or counts}, shown {shown} and {len(metrics)} metrics"
            )
        self.metrics, self.data, self.sampling = metrics, data, sampling
        self.panoramas, self.steps, self.direction = panoramas, steps, direction
        self.every_n_steps, self.shown, self.batch_size = every_n_steps, shown, batch_size
        self._scored_at: int | None = None
        self._heldout: tuple[list[EvalPanorama], list[Pixels], Geometry] | None = None

    skips_validations = True
    """Whether validations may come without these scores; `RunCheckpoint` then chooses among the others."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Read the held-out panoramas, so that a wrong setting is told before the first step.

        Raises:
            ValueError: there are no such panoramas, or the run trains text-to-image.
        """
        if pl_module.config.task != "outpaint":
            raise ValueError("EvalMetrics scores panoramas that are widened; leave it out of text-to-image training")
        data = self.data or getattr(getattr(trainer, "datamodule", None), "shards", None)
        if data is None:
            raise ValueError("EvalMetrics needs data, a shard set with held-out panoramas; the run has none")
        if stage == "fit" and getattr(getattr(trainer, "datamodule", None), "has_validation", True) is False:
            raise ValueError("EvalMetrics scores in validation, for which the set has no windows; prepare it with some")
        if self._heldout is None and stage in ("fit", "validate"):
            self._heldout = load_panoramas(Path(data), self.direction, self.panoramas, self.steps)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Draw, score and log, while the module holds the averaged weights."""
        if trainer.sanity_checking or not self._due(trainer.global_step):
            return
        self._scored_at = trainer.global_step
        assert self._heldout is not None  # By setup.
        count = len(self._heldout[0])
        mine = Share(trainer.global_rank, trainer.world_size).of(range(count))
        # Hooks run outside of autocast, in which the run's precision computes.
        with trainer.precision_plugin.forward_context():
            drawn = self._draw(pl_module, mine, -(-count // trainer.world_size))
        scores = self._score(pl_module.device, mine, drawn)
        for name, value in scores.items():
            # Every rank has the same value: the metrics joined the ranks already.
            pl_module.log(f"val/{name}", value, sync_dist=False)
        if not trainer.fast_dev_run and trainer.state.fn == TrainerFn.FITTING:
            # Not log_dir: it asks all ranks.
            directory = Path(trainer.default_root_dir) / "eval" / f"step-{trainer.global_step:07d}"
            directory.mkdir(parents=True, exist_ok=True)
            self._write_pictures(directory, {index: drawn[index] for index in mine if index < self.shown})
            trainer.strategy.barrier("EvalMetrics")  # The first rank logs what all have written.
            if trainer.is_global_zero:
                (directory / "metrics.json").write_text(json.dumps(scores, indent=2) + "\n")
                _log_media(trainer, scores, sorted(directory.glob("*.png")))

    def state_dict(self) -> dict[str, Any]:
        """At which step the last scores were made."""
        return {"scored_at": self._scored_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._scored_at = state_dict["scored_at"]

    def _due(self, step: int) -> bool:
        return self._scored_at is None or not self._scored_at < step < self._scored_at + self.every_n_steps

    def _draw(self, pl_module: Any, mine: list[int], share: int) -> dict[int, Pixels]:
        """This rank's panoramas by index."""
        assert self._heldout is not None
        truths, real, geometry = self._heldout
        # Ranks draw equally many, for parts of a sharded model wait for each other; a surplus one is not scored.
        indices = (mine + list(range(len(truths))))[:share]
        walks = [walk_of(truths[index], real[index], geometry) for index in indices]
        overlap_px = geometry.window_px - geometry.stride_px
        sampling = replace(self.sampling, window_px=geometry.window_px, overlap_px=overlap_px)
        with lent_pipeline(pl_module) as pipeline:
            rollout = roll_out(
                Outpainter(pipeline, config=sampling),
                walks,
                geometry,
                view_px=view_px(sampling, geometry),
                seed=sampling.seed,
                batch_size=self.batch_size,
                report=log.info,
            )
        return dict(zip(mine, rollout.panoramas, strict=False))

    def _score(self, device: torch.device, mine: list[int], drawn: Mapping[int, Pixels]) -> dict[str, float]:
        assert self._heldout is not None
        truths, real, geometry = self._heldout
        for metric in self.metrics:
            metric.reset()
            if hasattr(metric, "to"):
                metric.to(device)
        for start in range(0, len(mine), self.batch_size):
            part = mine[start : start + self.batch_size]
            rows = [compared(truths[index], drawn[index], real[index], device) for index in part]
            batch = PanoramaBatch(rows, geometry, self.steps)
            for metric in self.metrics:
                batch.feed(metric)
        scores: dict[str, float] = {}
        for metric in self.metrics:
            values, missing = computed(metric)
            for name, reason in missing.items():
                log.warning("%s is left out: %s", name, reason)
            scores |= {named_by_geometry(name, metric.view, geometry): value for name, value in values.items()}
            metric.reset()
        return scores

    def _write_pictures(self, directory: Path, drawn: Mapping[int, Pixels]) -> None:
        """Each drawn panorama above the real one (beside it, where it grew up or down)."""
        assert self._heldout is not None
        truths, real, geometry = self._heldout
        for index, picture in drawn.items():
            both = [torch.from_numpy(part) for part in (picture, real[index])]
            beside = torch.cat(both, dim=0 if geometry.horizontal else 1)
            Image.fromarray(beside.numpy()).save(directory / f"{truths[index].key}.png")


def _log_media(trainer: Any, scores: Mapping[str, float], pictures: list[Path]) -> None:
    images = {path.stem: Image.open(path) for path in pictures}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            for key, image in images.items():
                pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
                logger.experiment.add_image(
                    f"val/panorama/{key}",
                    pixels.view(image.height, image.width, 3),
                    trainer.global_step,
                    dataformats="HWC",
                )
        elif isinstance(logger, WandbLogger):
            if images:
                logger.log_image("val/panoramas", list(images.values()), trainer.global_step, caption=list(images))
            _log_curves(logger, scores, trainer.global_step)


def _log_curves(logger: WandbLogger, scores: Mapping[str, float], step: int) -> None:
    import wandb

    for name, points in curves(scores).items():
        table = wandb.Table(columns=["step", "value"], data=[list(point) for point in points])
        logger.experiment.log(
            {f"val/curve/{name}": wandb.plot.line(table, "step", "value", title=name), "trainer/global_step": step}
        )


def curves(scores: Mapping[str, float]) -> dict[str, list[tuple[int, float]]]:
    """The scores whose names hold a step (``.step5``), as points over steps under the name without it."""
    found: dict[str, list[tuple[int, float]]] = {}
    for name, value in scores.items():
        parts = name.split(".")
        steps = [part for part in parts if part.startswith("step") and part[4:].isdigit()]
        if steps:
            found.setdefault(".".join(part for part in parts if part != steps[0]), []).append(
                (int(steps[0][4:]), value)
            )
    return {name: sorted(points) for name, points in found.items()}
