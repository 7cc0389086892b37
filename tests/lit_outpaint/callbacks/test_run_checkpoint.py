"""Runs that are stopped anywhere and continue as if they had not been; toy sizes, through the command line."""

import csv
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from lit_outpaint.__main__ import main
from lit_outpaint.callbacks.run_checkpoint import RunCheckpoint
from lit_outpaint.testing.runs import toy_arguments
from lit_outpaint.training.checkpoint import newest_checkpoint

Fit = Callable[..., Path]
VALIDATED = ("--trainer.max_steps=6", "--trainer.val_check_interval=2", "--trainer.check_val_every_n_epoch=null")
SAVED = "--checkpoint.every_n_train_steps=2"


@pytest.fixture(scope="module")
def fit(toy_shards: Path, toy_family: Path, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Trains a run of a name; the toy set has 8 windows, so that an epoch has 4 batches."""
    runs = tmp_path_factory.mktemp("runs")

    def run(name: str, *more: str) -> Path:
        argv = toy_arguments(toy_family, toy_shards, runs, f"--name={name}", "--model.optim.lr=1e-3")
        assert main(["fit", *argv, "--trainer.num_sanity_val_steps=0", *more]) == 0
        return runs / name

    return run


def stop(batch: int, how: str) -> list[str]:
    """Flags that stop a run after a batch, the first is 0."""
    callback = "--trainer.callbacks+=lit_outpaint.testing.runs.StopAfter"
    leaving = ["--trainer.callbacks+=lit_outpaint.callbacks.preemption.Preemption"] if how == "signal" else []
    return [*leaving, callback, f"--trainer.callbacks.batch={batch}", f"--trainer.callbacks.how={how}"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    path = newest_checkpoint(run)
    assert path is not None
    checkpoint = torch.load(path, weights_only=True)
    return {**checkpoint["state_dict"], **{f"ema.{k}": v for k, v in checkpoint["ema"]["averages"].items()}}


def assert_same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def validated(run: Path) -> list[int]:
    """The steps that have a validation loss."""
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row.get("val/loss")]


@pytest.fixture(scope="module")
def whole(fit: Fit) -> Path:
    """A run that was validated behind every second of six steps, and never stopped."""
    return fit("whole", *VALIDATED, SAVED)


@pytest.mark.parametrize(
    ("more", "batch"), [([], 5), pytest.param(["--trainer.max_steps=7"], 1, marks=pytest.mark.slow)]
)
def test_a_run_that_epochs_bound_continues_where_it_was(fit: Fit, more: list[str], batch: int) -> None:
    bounds, name = ["--trainer.max_epochs=2", *more], f"epochs{batch}"
    fit(name, *bounds, *stop(batch, "signal"))
    assert_same(fit(name, *bounds, "--ckpt_path=last"), fit(f"{name}-whole", *bounds))


@pytest.mark.slow
def test_a_run_that_stops_between_batches_of_one_step_continues_from_the_last_whole_one(fit: Fit) -> None:
    flags = ["--trainer.accumulate_grad_batches=2", "--trainer.max_steps=4", "--trainer.limit_val_batches=0"]
    path = newest_checkpoint(fit("between", *flags, *stop(4, "stop")))
    assert path is not None
    assert torch.load(path, weights_only=True)["global_step"] == 2
    assert_same(fit("between", *flags, "--ckpt_path=last"), fit("between-whole", *flags))


@pytest.mark.parametrize(
    ("batch", "how"), [(3, "signal"), pytest.param(3, "fail", marks=pytest.mark.slow), (5, "fail")]
)
def test_the_validation_that_comes_next_is_made_up_for(fit: Fit, whole: Path, batch: int, how: str) -> None:
    flags, name = [*VALIDATED, SAVED], f"due-{batch}-{how}"
    with pytest.raises(RuntimeError, match="the validation breaks") if how == "fail" else nullcontext():
        fit(name, *flags, *stop(batch, how))
    run = fit(name, *flags, "--ckpt_path=last")
    assert validated(run) == validated(whole) == [1, 3, 5]
    assert_same(run, whole)


@pytest.mark.slow
def test_what_is_saved_in_a_validation_are_the_trained_weights(fit: Fit, whole: Path) -> None:
    flags = [*VALIDATED, "--checkpoint.every_n_train_steps=3"]
    with pytest.raises(RuntimeError, match="the validation breaks"):
        fit("broken", *flags, "--checkpoint.save_on_exception=true", *stop(3, "fail"))
    assert_same(fit("broken", *flags, "--ckpt_path=last"), whole)


def test_the_best_checkpoint_is_chosen_by_the_validation_of_its_own_step(fit: Fit) -> None:
    run = fit("best", *VALIDATED, SAVED, "--checkpoint.monitor=val/loss", "--checkpoint.save_top_k=1")
    with (run / "metrics.csv").open() as file:
        losses = {int(row["step"]) + 1: float(row["val/loss"]) for row in csv.DictReader(file) if row.get("val/loss")}
    best = min(losses, key=lambda step: losses[step])
    assert [path.name for path in run.glob("step*.ckpt")] == [f"step={best:07d}.ckpt"]
    states = torch.load(run / f"step={best:07d}.ckpt", weights_only=True)
    assert states["global_step"] == best


def test_what_leaves_nothing_to_continue_from_is_refused(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError):
        fit("bare", "--checkpoint.save_weights_only=true")
    assert capsys.readouterr().err.startswith("error: checkpoint.save_weights_only leaves nothing to continue from")


class _Plain(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return (self.weight * batch).sum()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class _ScoresNowAndThen(Callback):
    skips_validations = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step in (2, 6):
            pl_module.log("val/fid", {2: 3.0, 6: 1.0}[trainer.global_step])


def test_what_was_not_scored_is_not_kept_for_an_older_score(tmp_path: Path) -> None:
    def train(steps: int, **options: Any) -> set[str]:
        keep = RunCheckpoint(
            tmp_path, filename="{step}", monitor="val/fid", save_top_k=2, save_last=True, every_n_train_steps=2
        )
        trainer = Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            max_steps=steps,
            val_check_interval=2,
            num_sanity_val_steps=0,
            callbacks=[_ScoresNowAndThen(), keep],
            default_root_dir=tmp_path,
        )
        trainer.fit(_Plain(), DataLoader(torch.ones(20)), DataLoader(torch.ones(1)), **options)  # type: ignore[arg-type]
        return {path.name for path in tmp_path.glob("step=*.ckpt")}

    assert train(10) == {"step=2.ckpt", "step=6.ckpt"}
    # A run that goes on has no score yet, and may come to a validation without one first.
    assert train(14, ckpt_path=str(tmp_path / "last.ckpt"), weights_only=False) == {"step=2.ckpt", "step=6.ckpt"}
