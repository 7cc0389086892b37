"""Keeps the moving average of the weights up to date, scores with it and saves it."""

from typing import Any

from lightning.pytorch import Callback, Trainer

CHECKPOINT_KEY = "ema"


class AveragedWeights(Callback):
    """Drives the ``ema`` of an `OutpaintModule`; the module adds it by itself.

    Validation, test and prediction run on the average. The trained weights are back before any checkpoint is written,
    which Lightning does after ``on_validation_epoch_end``.
    """

    def __init__(self) -> None:
        self._lent = False

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Collect the parameters once: walking through all modules takes milliseconds."""
        self._trained = pl_module.trained()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any) -> None:
        """Update once per optimiser step, however many batches it gathers."""
        if trainer.global_step > pl_module.ema.step:
            pl_module.ema.update(self._trained, trainer.global_step)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Let the module hold the average."""
        pl_module.ema.swap(pl_module.trained())
        self._lent = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Give the trained weights back."""
        pl_module.ema.swap(pl_module.trained())
        self._lent = False

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Give them back in the middle of it, too: a checkpoint may be written behind this."""
        if self._lent:
            self.on_validation_epoch_end(trainer, pl_module)

    on_test_epoch_start = on_predict_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_predict_epoch_end = on_validation_epoch_end

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the average."""
        checkpoint[CHECKPOINT_KEY] = pl_module.ema.state_dict()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take the average over; a checkpoint without one starts it from its weights."""
        if CHECKPOINT_KEY in checkpoint:
            pl_module.ema.load_state_dict(checkpoint[CHECKPOINT_KEY])
        else:
            pl_module.ema.reset(pl_module.trained(), checkpoint["global_step"])
