"""How fast a run is, what it waits for and how much memory it takes, in the log."""

import logging
import resource
import time
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.flop_counter import FlopCounterMode

log = logging.getLogger(__name__)


class Throughput(Callback):
    """Logs speed and memory, averaged over the steps between two log lines; validation does not count.

    Within an epoch: the first line of one tells of its steps alone.

    ``perf/images_per_s`` over all processes; ``perf/step_ms``; ``perf/data_wait_share`` of it that this process spent
    waiting for the loader; ``perf/peak_memory_gib`` so far, of the GPU or, without one, of this process; and
    ``perf/mfu`` where the peak is stated. The same goes out as a plain line, for runs whose progress bar nobody sees.
    """

    def __init__(self, peak_tflops: float | None = None) -> None:
        """Configure.

        Args:
            peak_tflops: what one device reaches at best in the precision of the run, in units of 1e12 operations a
                second; perf/mfu is the share of it that goes into the U-Net, counted as three forward passes a step
                (activations that are computed twice count once). Nothing is reported without it.

        Raises:
            ValueError: the peak is not positive.
        """
        if peak_tflops is not None and peak_tflops <= 0:
            raise ValueError(f"throughput.peak_tflops must be positive or null, got {peak_tflops}")
        self.peak_tflops = peak_tflops
        self._image_flops = 0
        self._restart(None)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, so that validation between epochs does not count."""
        self._restart(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock after a validation inside an epoch."""
        self._restart(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Look once at what the U-Net is called with."""
        if self.peak_tflops is None or self._image_flops:
            return

        def look(unet: UNet2DConditionModel, args: tuple[Any, ...]) -> None:
            self._image_flops = forward_flops(dict(unet.config), args[0].shape[-1], args[2].shape[1])
            handle.remove()

        handle = pl_module.unet.register_forward_pre_hook(look)

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, and log as often as the trainer logs."""
        self._images += len(batch.keys) * trainer.world_size
        self._steps += 1
        # Lightning's own answer: figures that are given at another batch would not reach the logs.
        if trainer.fit_loop._should_accumulate() or not trainer._logger_connector.should_update_logs:
            return
        seconds = max(time.perf_counter() - self._since, 1e-9)
        speed = self._images / seconds
        figures = {
            "perf/images_per_s": speed,
            "perf/step_ms": 1e3 * seconds / self._steps,
            "perf/data_wait_share": (_waited(trainer) - self._waited) / seconds,
            "perf/peak_memory_gib": peak_memory_gib(),
        }
        if self.peak_tflops is not None:
            figures["perf/mfu"] = 3 * self._image_flops * speed / (trainer.world_size * self.peak_tflops * 1e12)
        pl_module.log_dict(figures, batch_size=1)
        if trainer.is_global_zero:
            loss = trainer.callback_metrics["train/loss"]
            log.info("step %d: train/loss %.4f, %.1f images/s", trainer.global_step, loss, speed)
        self._restart(trainer)

    def _restart(self, trainer: Trainer | None) -> None:
        self._since = time.perf_counter()
        self._waited = 0.0 if trainer is None else _waited(trainer)
        self._images = self._steps = 0


def forward_flops(unet: dict[str, Any], latent_px: int, rows: int) -> int:
    """Floating-point operations of a U-Net's forward pass over one image, two for each multiplication and addition.

    Args:
        unet: configuration of a diffusers U-Net.
        latent_px: side of the latents.
        rows: length of the context.
    """
    with torch.device("meta"), torch.no_grad():
        model = UNet2DConditionModel.from_config(unet)
        latents = torch.empty(1, model.config.in_channels, latent_px, latent_px)
        context = torch.empty(1, rows, model.config.cross_attention_dim)
        with FlopCounterMode(display=False) as counter:
            model(latents, torch.zeros(1), context)
    return counter.get_total_flops()


def peak_memory_gib() -> float:
    """Most memory held at once so far: by tensors on the GPU, or by this process where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _waited(trainer: Trainer) -> float:
    """Seconds that the training loader kept its user waiting so far; 0 for loaders that do not say."""
    return float(getattr(trainer.train_dataloader, "waited_s", 0.0))
