"""The run's ``last.ckpt``: written whole or not at all, with the one before beside it."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from lit_outpaint.callbacks.preemption import Preemption
from lit_outpaint.training.checkpoint import publish


class RunCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback with five changes.

    Whenever a checkpoint is written, it says that training stands behind the last batch: Lightning counts an epoch as
    over once its end is near, so that a run that went on from there would leave batches out. A checkpoint takes its
    name only when all of it is on the disk. ``last.ckpt`` leaves its forerunner behind as ``previous.ckpt``. It is also
    saved when training ends between two saves, and when a `Preemption` says that the run has to leave. It is not saved
    while gradients of several batches add up.
    """

    _place: dict[str, Any] | None = None
    """Progress of the loops, the loader's included, behind the last batch."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is time; then leave, if the run has to."""
        self._place = trainer.fit_loop.state_dict()
        for counts in self._place["epoch_progress"].values():
            # Within an epoch; Lightning's own count of begun epochs stays behind in a run that went on.
            counts["ready"] = counts["started"] = counts["processed"] + 1
            counts["completed"] = counts["processed"]
        # A checkpoint holds no gradients: between batches whose gradients add up there is no place to continue from.
        if not trainer.fit_loop._should_accumulate():
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Preemption) and callback.due:
                self._save_now(trainer)
                callback.leave(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put in where training stands."""
        if self._place is not None and "loops" in checkpoint:
            checkpoint["loops"]["fit_loop"] = self._place

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget where an earlier run stood."""
        super().on_train_start(trainer, pl_module)
        self._place = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last step, unless it is saved already."""
        self._save_now(trainer)

    def _save_now(self, trainer: Trainer) -> None:
        if self.save_last and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        """Write under another name, then put the checkpoint in its place."""
        draft = f"{filepath}.part"
        trainer.save_checkpoint(draft, self.save_weights_only)
        if trainer.is_global_zero:
            publish(Path(draft), Path(filepath))
        trainer.strategy.barrier("RunCheckpoint")
        rank_zero_info(f"Saved {filepath} at step {trainer.global_step}")
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)
