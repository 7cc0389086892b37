"""Leaves a machine that is about to be taken away: saves at the end of the batch, asks SLURM for another turn.

Lightning saves inside the signal handler, between any two instructions of a step (pytorch-lightning#21406). Here the
handler only notes that the signal came.
"""

import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from torch import distributed

log = logging.getLogger(__name__)

REQUEUE_SIGNAL = signal.SIGUSR1
"""Sent by ``sbatch --signal=USR1@SECONDS`` ahead of the time limit; SLURM does not requeue such a job by itself."""


class Preempted(Exception):
    """The run saved itself and stops here, although training is not over; the command line exits with 0."""

    requeued = True
    """Whether it comes back by itself, as far as that is ours to see to; if not, the command line exits with 1."""


class Preemption(Callback):
    """On SIGUSR1 or SIGTERM, saves ``last.ckpt`` at the end of the batch and ends the run with exit code 0.

    All ranks leave after the same batch, whichever of them got the signal, and never between two batches of one
    optimiser step. Inside a SLURM job SIGUSR1 also requeues the job; SIGTERM does not, since it comes from ``scancel``
    too, and SLURM requeues what it pre-empts. The command of the job must say ``--ckpt_path last``, which starts over
    where there is no checkpoint. A signal during validation, the first check of it included, is obeyed after the first
    batch that follows.
    """

    def __init__(self, signals: Sequence[str] = ("SIGUSR1", "SIGTERM"), requeue: bool = True) -> None:
        """Configure.

        Args:
            signals: names of the signals that end the run.
            requeue: put the SLURM job back into the queue after SIGUSR1.

        Raises:
            ValueError: there is no such signal.
        """
        unknown = [name for name in signals if name not in signal.Signals.__members__]
        if unknown:
            raise ValueError(f"signals must be names such as SIGUSR1, got {', '.join(unknown)}")
        self.signals = [signal.Signals[name] for name in signals]
        self.requeue = requeue
        self.due = False
        self._received: set[int] = set()
        self._handlers: dict[int, Any] = {}
        self._group: distributed.ProcessGroup | None = None
        self._process = os.getpid()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier run."""
        self.due = False
        self._received = set()

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over from Lightning, whose handler broadcasts: other ranks would have to listen."""
        self._process = os.getpid()
        for number in self.signals:
            handler = signal.signal(number, self._on_signal)
            if handler != self._on_signal:
                self._handlers[number] = handler

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over, unless that was done before, and prepare to agree on them."""
        self.on_sanity_check_start(trainer, pl_module)
        if trainer.world_size > 1 and distributed.is_initialized():
            # Its own group on the CPU, so that asking does not wait for the accelerator.
            self._group = distributed.new_group(backend="gloo")  # type: ignore[assignment]

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Agree with the other ranks whether this batch is the last; `RunCheckpoint` does the rest, as it runs last."""
        flags = torch.tensor([number in self._received for number in self.signals], dtype=torch.uint8)
        if self._group is not None:
            distributed.all_reduce(flags, distributed.ReduceOp.MAX, group=self._group)
        self._received = {number for number, flag in zip(self.signals, flags.tolist(), strict=True) if flag}
        # A checkpoint holds no gradients.
        self.due = bool(self._received) and not trainer.fit_loop._should_accumulate()

    def leave(self, trainer: Trainer) -> None:
        """Requeue where that is ours to do, and end the run.

        Raises:
            Preempted: always.
        """
        names = " and ".join(signal.Signals(number).name for number in sorted(self._received))
        reason = Preempted(f"{names} at step {trainer.global_step}")
        # Lightning logs a batch after this hook, and will not come to it.
        trainer._logger_connector.on_batch_end()
        trainer._logger_connector.update_train_step_metrics()
        for logger in trainer.loggers:
            logger.save()
        if trainer.is_global_zero:
            log.warning("%s: saved step %d and stop; --ckpt_path last continues", names, trainer.global_step)
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.experiment.mark_preempting()
                    # Rows of the last seconds are lost when the process is killed. A run that was marked is shown as
                    # pre-empted when it ends with anything but 0, which stands for finished; a crash ends with 1 here
                    # (https://docs.wandb.ai/models/sweeps/signal-handling-sweep-runs, exit code contract).
                    logger.experiment.finish(exit_code=128 + min(self._received))
            job = os.environ.get("SLURM_JOB_ID")
            if job and self.requeue and REQUEUE_SIGNAL in self._received:
                reason.requeued = requeue(job)
        raise reason

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Ignore the signals from here on: the run is on its way out, and a second one must not cut that short."""
        if isinstance(exception, Preempted):
            for number in self.signals:
                signal.signal(number, signal.SIG_IGN)
        else:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # A worker that was forked while the handler stood has it too.
        if os.getpid() == self._process:
            self._received.add(number)


def requeue(job: str) -> bool:
    """Put a SLURM job back into the queue and say whether that worked."""
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("cannot requeue job %s: %s", job, error)
        return False
    if done.returncode:
        log.error("cannot requeue job %s: %s", job, done.stderr.strip())
    return done.returncode == 0
