"""The parts of pre-emption that need no training run; those that do are in test_resume and test_strategies."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from lit_outpaint.callbacks.preemption import Preempted, Preemption
from lit_outpaint.callbacks.run_checkpoint import RunCheckpoint


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of SLURM's name that writes down what it is asked, and fails for job 13."""
    program, asked = tmp_path / "scontrol", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n[ "$2" != 13 ] || {{ echo no such job >&2; exit 1; }}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return asked


class Signalled(LightningModule):
    """Trains one number, and sends its own process a signal in the second of four batches."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.weight, self.number = torch.nn.Parameter(torch.ones(())), number

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if batch_idx == 1:
            os.kill(os.getpid(), self.number)
        return (self.weight * batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def leave(number: signal.Signals, root: Path, accumulate: int = 1, requeued: bool = True) -> dict[str, Any]:
    """Train until the signal; returns the checkpoint that is left."""
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
        accumulate_grad_batches=accumulate,
        callbacks=[Preemption(), RunCheckpoint(root, save_last=True, save_top_k=0)],
        default_root_dir=root,
    )
    with pytest.raises(Preempted, match=number.name) as left_by:
        trainer.fit(Signalled(number), DataLoader(torch.ones(4)))  # type: ignore[arg-type]
    assert left_by.value.requeued == requeued
    left: dict[str, Any] = torch.load(root / "last.ckpt", weights_only=True)
    return left


def test_a_run_never_leaves_between_batches_of_one_optimiser_step(tmp_path: Path) -> None:
    assert leave(signal.SIGTERM, tmp_path / "a")["global_step"] == 2
    left = leave(signal.SIGTERM, tmp_path / "b", accumulate=4)
    assert left["global_step"] == 1
    assert left["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["processed"] == 4


def test_a_job_near_its_time_limit_is_requeued(scontrol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    leave(signal.SIGUSR1, tmp_path)
    assert scontrol.read_text() == "requeue 4711\n"


def test_a_cancelled_job_stays_cancelled(scontrol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    leave(signal.SIGTERM, tmp_path)
    assert not scontrol.exists()


def test_outside_of_a_job_nothing_is_requeued(scontrol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    leave(signal.SIGUSR1, tmp_path)
    assert not scontrol.exists()


def test_a_requeue_that_fails_says_so_and_the_run_is_no_success(
    scontrol: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "13")
    leave(signal.SIGUSR1, tmp_path, requeued=False)
    assert "cannot requeue job 13: no such job" in caplog.text


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="SIGUSR9"):
        Preemption(signals=["SIGUSR9"])
