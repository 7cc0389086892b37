"""The run's ``last.ckpt``: written whole or not at all, with the one before beside it."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from lit_outpaint.callbacks.preemption import Preemption
from lit_outpaint.training.checkpoint import publish


class RunCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback with seven changes.

    Whenever a checkpoint is written, it says that training stands behind the last batch: Lightning counts an epoch as
    over once its end is near, so that a run that went on from there would leave batches out. A checkpoint takes its
    name only when all of it is on the disk. ``last.ckpt`` leaves its forerunner behind as ``previous.ckpt``. It is also
    saved when training ends between two saves, and when a `Preemption` says that the run has to leave. Where gradients
    of several batches add up, it is saved as of the last whole step. A checkpoint says whether validation is due behind
    its batch, and a run that continues from there begins with that. What is kept for its ``monitor`` is chosen by the
    validation of its own step.
    """

    _place: dict[str, Any] | None = None
    """Progress of the loops, the loader's included, behind the last batch of a whole step."""
    _validation_due = False
    """Whether validation comes next."""
    _choice_due = False
    """Whether that decides if this step's checkpoint is kept."""
    _score_before: Any = None
    """The monitored score before the present validation; Lightning keeps scores until there are others."""
    _saved_as_due = False
    """What the newest checkpoint says of the validation."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is time; then leave, if the run has to."""
        # A checkpoint holds no gradients: between batches whose gradients add up there is no place to continue from.
        if not trainer.fit_loop._should_accumulate():
            self._place = trainer.fit_loop.state_dict()
            for counts in self._place["epoch_progress"].values():
                # Within an epoch; Lightning's own count of begun epochs stays behind in a run that went on.
                counts["ready"] = counts["started"] = counts["processed"] + 1
                counts["completed"] = counts["processed"]
            fetcher = trainer.fit_loop._data_fetcher
            assert fetcher is not None  # A batch came from it.
            self._validation_due = trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)
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
        """Forget where an earlier run stood; validate, if that came next."""
        super().on_train_start(trainer, pl_module)
        self._place = None
        self._validate_if_due(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate, if only that was left to do."""
        self._validate_if_due(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the monitored score, to tell a new one by."""
        self._score_before = trainer.callback_metrics.get(self.monitor or "")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that it is done."""
        if not trainer.sanity_checking:
            self._validation_due = False
            if self._choice_due:
                self._choice_due = False
                self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
        super().on_validation_end(trainer, pl_module)

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Any]) -> None:
        """Keep the best; where validation of this step is still to come, after that."""
        if self.monitor is not None and self._validation_due:
            self._choice_due = True
        elif not self._lacks_score(trainer):
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _lacks_score(self, trainer: Trainer) -> bool:
        """Whether the validation of this step has left no score to choose by, as some do not (`EvalMetrics`)."""
        if self.monitor is None or not self.monitor.startswith("val/"):
            return False
        score = trainer.callback_metrics.get(self.monitor)
        if score is None:  # A name that nobody logs is refused by Lightning.
            return any(getattr(callback, "skips_validations", False) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        return score is self._score_before

    def state_dict(self) -> dict[str, Any]:
        """Say what comes next, too."""
        return super().state_dict() | {"validation_due": self._validation_due, "choice_due": self._choice_due}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what comes next; earlier checkpoints do not say."""
        super().load_state_dict(state_dict)
        self._validation_due = bool(state_dict.get("validation_due"))
        self._choice_due = bool(state_dict.get("choice_due"))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last step, unless it is saved already, with its validation."""
        if self._saved_as_due and not self._validation_due:
            self._last_global_step_saved = 0
        self._save_now(trainer)

    def _validate_if_due(self, trainer: Trainer) -> None:
        if self._validation_due:
            loop = trainer.fit_loop.epoch_loop.val_loop
            loop.restarting = False
            trainer.validating = True
            loop.run()
            trainer.training = True

    def _save_now(self, trainer: Trainer) -> None:
        if self.save_last and self._place is not None and not self._should_skip_saving_checkpoint(trainer):
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
        self._saved_as_due = self._validation_due
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)
