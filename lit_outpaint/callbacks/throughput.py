"""Images per second in the log."""

import logging
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)


class Throughput(Callback):
    """Logs ``perf/images_per_s`` over all processes, averaged over the steps between two log lines.

    The same goes out as a plain line, for runs whose progress bar nobody sees.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._images = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, so that validation between epochs does not count."""
        self._since, self._images = time.perf_counter(), 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock anew after a validation inside an epoch."""
        self._since, self._images = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, and log as often as the trainer logs."""
        self._images += len(batch.keys) * trainer.world_size
        if (batch_idx + 1) % trainer.log_every_n_steps == 0:
            now = time.perf_counter()
            speed = self._images / max(now - self._since, 1e-9)
            pl_module.log("perf/images_per_s", speed, batch_size=1)
            log.info("step %d: train/loss %.4f, %.1f images/s", trainer.global_step, outputs["loss"], speed)
            self._since, self._images = now, 0
