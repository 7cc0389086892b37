"""Training runs in processes of their own, for tests: interrupted ones, and ones on several ranks."""

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lit_outpaint.callbacks.preemption import Preempted, Preemption
from lit_outpaint.callbacks.run_checkpoint import RunCheckpoint
from lit_outpaint.cli import fit
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.training.ema import EmaConfig
from lit_outpaint.training.optim import OptimConfig
from lit_outpaint.training.sharded_checkpoint import AnyCheckpointIO
from lit_outpaint.training.sharded_strategy import ShardedStrategy


class BatchLog(Callback):
    """Appends the number and the samples of every training batch to a file, which a killed process leaves behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Add a line; the semicolon marks its end."""
        with self.path.open("a") as file:
            file.write(f"{trainer.fit_loop.total_batch_idx} {','.join(batch.keys)};\n")


def toy_arguments(family: Path, shards: Path, runs: Path, *more: str) -> list[str]:
    """Flags of a toy run for any training verb, in this process: two windows a batch, each step logged.

    Args:
        family: of the base model.
        shards: what is trained on.
        runs: where runs lie.
        more: flags that follow.
    """
    options = {
        "data.shards": shards,
        "data.batch_size": 2,
        "data.num_workers": 0,
        "model.base.pretrained": family,
        "runs_dir": runs,
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "trainer.log_every_n_steps": 1,
    }
    return [f"--{key}={value}" for key, value in options.items()] + list(more)


def interruptible_fit(arguments: Sequence[str], run_dir: Path) -> None:
    """``fit`` in a process of its own: float32 on one CPU thread, two loader workers, validation within epochs.

    Args:
        arguments: of the command line, behind which come those that such a run takes.
        run_dir: its directory; ``run_dir.batches`` beside it gets a line a batch.
    """
    torch.set_num_threads(1)
    # Loader workers are children of this process then, as they are of a process that was started from a shell.
    multiprocessing.set_start_method("fork", force=True)
    common = (
        "--data.batch_size=2 --data.num_workers=2 --model.optim.lr=1e-3 --model.optim.schedule=cosine"
        " --model.ema.decay=0.9 --trainer.accelerator=cpu --trainer.deterministic=true --trainer.log_every_n_steps=1"
        " --trainer.enable_progress_bar=false --trainer.enable_model_summary=false --trainer.val_check_interval=6"
        " --trainer.check_val_every_n_epoch=null --trainer.num_sanity_val_steps=0 --checkpoint.every_n_train_steps=4"
        " --trainer.callbacks+=lit_outpaint.callbacks.preemption.Preemption"
        " --trainer.callbacks+=lit_outpaint.testing.runs.BatchLog"
    )
    log = f"--trainer.callbacks.path={run_dir.parent / run_dir.name}.batches"
    sys.exit(fit.main([*arguments, *common.split(), log]))


class LossLog(Callback):
    """Keeps the loss of every batch, averaged over ranks."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any) -> None:
        """Add a batch."""
        loss = outputs["loss"].detach().clone()
        if trainer.world_size > 1:
            torch.distributed.all_reduce(loss)
        self.losses.append(float(loss) / trainer.world_size)


class HoldForSignal(Callback):
    """Holds the first start of one task of a SLURM array at a step until a signal came, however long that takes."""

    def __init__(self, task: int, step: int) -> None:
        self.task, self.step = str(task), step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Wait, if this is it."""
        mine = os.environ.get("SLURM_ARRAY_TASK_ID") == self.task and "SLURM_RESTART_COUNT" not in os.environ
        if mine and trainer.global_step == self.step:
            (preemption,) = (part for part in trainer.callbacks if isinstance(part, Preemption))  # type: ignore[attr-defined]
            while not preemption._received:
                time.sleep(0.1)


class SendSignal(Callback):
    """Sends this process SIGTERM at its third batch, if it is the one to get it."""

    def __init__(self, mine: bool) -> None:
        self.mine = mine

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Send it."""
        if self.mine and trainer.fit_loop.total_batch_idx == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def rank_fit(
    rank: int, world_size: int, port: int, strategy: Any, family: Path, shards: Path, out: Path, options: dict
) -> None:
    """One rank of a training run in float32 on the CPU, under a real process group where there are several.

    Args:
        rank: this one.
        world_size: how many there are; they share global batches of four.
        port: a free one, for their meeting.
        strategy: of the trainer; a dictionary is the arguments of `ShardedStrategy`.
        family: model family.
        shards: shard set.
        out: ``losses.json`` and the run's checkpoints.
        options: ``steps``, ``resume`` (a checkpoint), ``send`` (a rank that sends itself SIGTERM after two batches),
            ``train``, ``gradient_checkpointing`` and ``compile`` of the model; with ``validate`` the held-out windows
            are scored instead, and their loss is the only one.
    """
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    if world_size > 1:
        os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(world_size)}
    torch.set_num_threads(1)
    torch.manual_seed(0)

    losses, sender = LossLog(), SendSignal(options.get("send") == rank)
    trainer = Trainer(
        accelerator="cpu",
        devices=world_size,
        strategy=ShardedStrategy(**strategy) if isinstance(strategy, dict) else strategy,
        max_steps=options.get("steps", -1),
        gradient_clip_val=1.0,
        limit_val_batches=None if options.get("validate") else 1,
        val_check_interval=3,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=out,
        callbacks=[
            losses,
            sender,
            Preemption(),
            RunCheckpoint(out, save_last=True, save_top_k=0),
        ],
    )
    if not isinstance(strategy, dict):
        trainer.strategy.checkpoint_io = AnyCheckpointIO()
    parts = {name: options.get(name, False) for name in ("gradient_checkpointing", "compile")}
    model = ModelConfig(pretrained=str(family), train=options.get("train", "all"), **parts)
    module = OutpaintModule(model, optim=OptimConfig(lr=1e-3, warmup_steps=5), ema=EmaConfig(decay=0.9))
    data = OutpaintDataModule(str(shards), batch_size=4 // world_size, num_workers=0)
    if options.get("validate"):
        losses.losses = [scores["val/loss"] for scores in trainer.validate(module, data, verbose=False)]
    else:
        with suppress(Preempted):
            trainer.fit(module, datamodule=data, ckpt_path=options.get("resume"))
    if rank == 0:
        (out / "losses.json").write_text(json.dumps(losses.losses))


def fit_on_ranks(world_size: int, strategy: Any, family: Path, shards: Path, out: Path, **options: Any) -> list[float]:
    """Train on one or more ranks, each a process of its own, and return the losses (see `rank_fit`)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    given = (world_size, port, strategy, family, shards, out, options)
    ranks = [context.Process(target=rank_fit, args=(rank, *given)) for rank in range(world_size)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(600)
        if process.is_alive():
            process.kill()
    if any(process.exitcode for process in ranks):
        raise RuntimeError(f"ranks ended with {[process.exitcode for process in ranks]}")
    losses: list[float] = json.loads((out / "losses.json").read_text())
    return losses


class StopAfter(Callback):
    """Ends a run behind a batch, the first is 0: as a timer does, by a signal, or by an error in the validation."""

    def __init__(self, batch: int, how: Literal["stop", "signal", "fail"]) -> None:
        self.batch, self.how = batch, how

    def on_train_batch_end(self, trainer: Trainer, *args: object) -> None:
        """Stop, or send the signal."""
        if trainer.fit_loop.total_batch_idx == self.batch:
            trainer.should_stop = trainer.should_stop or self.how == "stop"
            if self.how == "signal":
                os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_batch_end(self, trainer: Trainer, *args: object) -> None:
        """Break off the validation behind that batch."""
        if self.how == "fail" and trainer.fit_loop.total_batch_idx == self.batch:
            raise RuntimeError("the validation breaks")
