"""The command lines of coco.yaml at toy width, on two ranks that the command itself starts (gloo)."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lit_outpaint.system.threads import THREADS, usable_cores
from lit_outpaint.testing.wandb import read_offline_wandb
from lit_outpaint.training.checkpoint import checkpoint_step, is_whole

ROOT = Path(__file__).resolve().parents[3]
COCO = "experiments/coco.yaml"
SHARDED = "experiments/coco_fsdp.yaml"
TIMEOUT_S = 1500.0


class Fit:
    """``fit`` with configurations of the repository, in a process of its own that starts the other ranks."""

    def __init__(self, family: Path, shards: Path, run_dir: Path, *configs: str) -> None:
        self.run_dir, self.lines = run_dir, ""
        toy: dict[str, Any] = {
            "name": run_dir.name,
            "runs_dir": run_dir.parent,
            "model.base.pretrained": family,
            "model.base.vision": "null",
            "data.shards": shards,
            "data.batch_size": 2,
            "data.num_workers": 1,
            "trainer.accelerator": "cpu",
            "trainer.devices": 2,
            "trainer.log_every_n_steps": 1,
            "trainer.val_check_interval": 2,
            "checkpoint.every_n_train_steps": 2,
        }
        self.command = [sys.executable, "-m", "lit_outpaint", "fit"]
        for config in configs:
            self.command += ["-c", config]
        for key, value in toy.items():
            self.command += [f"--{key}", str(value)]

    def start(self, *more: str) -> subprocess.Popen:
        unset = {name: value for name, value in os.environ.items() if name != THREADS}
        return subprocess.Popen(
            [*self.command, *more], cwd=ROOT, env=unset, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def end(self, process: subprocess.Popen) -> int:
        """Wait until a start is over, all of its ranks included, and return its exit code."""
        try:
            _, self.lines = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for number in [*children(process.pid), process.pid]:
                signal_process(number, signal.SIGKILL)
            process.communicate()
            raise
        return process.returncode

    def run(self, *more: str) -> None:
        code = self.end(self.start(*more))
        assert code == 0, self.lines[-3000:]

    def leave(self, rank: int, *more: str) -> int:
        """Train until the first pictures are drawn, tell one rank to leave, and return the step that is saved."""
        process = self.start(*more)
        wait_for(lambda: any(self.run_dir.glob("samples/*.png")) or process.poll() is not None)
        (other,) = children(process.pid)
        told = dict(line.split("=", 1) for line in Path(f"/proc/{other}/environ").read_text().split("\0") if line)
        assert int(told[THREADS]) == max(1, usable_cores() // 2 - 1), "a rank has its cores less one a loader worker"
        signal_process(process.pid if rank == 0 else other, signal.SIGTERM)
        code = self.end(process)
        assert code == 0, self.lines[-3000:]
        return checkpoint_step(self.run_dir / "last.ckpt")

    def logged_steps(self) -> list[int]:
        with (self.run_dir / "metrics.csv").open(newline="") as file:
            return [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]


def children(number: int) -> list[int]:
    """The other ranks that a process started; its loader workers bear its own command line."""
    found = []
    for thread in Path(f"/proc/{number}/task").iterdir():
        found += [int(word) for word in (thread / "children").read_text().split()]
    return [child for child in sorted(found) if b"lit_outpaint.__main__" in Path(f"/proc/{child}/cmdline").read_bytes()]


def signal_process(number: int, sent: signal.Signals) -> None:
    subprocess.run(["kill", f"-{sent.value}", str(number)], check=False)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def fit(toy_family: Path, shards: Path, tmp_path: Path) -> Iterator[Callable[..., Fit]]:
    return lambda *configs: Fit(toy_family, shards, tmp_path / "toy", *configs)


def test_coco_trains_on_two_ranks_and_leaves_when_told(fit: Callable[..., Fit]) -> None:
    run = fit(COCO)
    step = run.leave(0)
    assert step >= 2
    assert is_whole(run.run_dir / "last.ckpt")
    assert {"config.yaml", "run.json", "samples", "previous.ckpt"} <= {path.name for path in run.run_dir.iterdir()}
    assert run.logged_steps() == list(range(step))
    assert run.lines.count("stopped by SIGTERM") == 1, "told once, not by every rank"
    assert run.lines.count(" step 1: train/loss ") == 1


@pytest.mark.slow
@pytest.mark.parametrize("configs", [(COCO,), (COCO, SHARDED)])
def test_a_run_on_two_ranks_goes_on_there_and_on_one(fit: Callable[..., Fit], configs: tuple[str, ...]) -> None:
    run = fit(*configs)
    logged = ["--wandb.project", "toy"]
    step = run.leave(1, *logged)
    run.run(*logged, "--ckpt_path", "last", "--trainer.max_steps", str(step + 2))
    assert checkpoint_step(run.run_dir / "last.ckpt") == step + 2
    run.run(*logged, "--ckpt_path", "last", "--trainer.max_steps", str(step + 4), "--trainer.devices", "1")
    assert checkpoint_step(run.run_dir / "last.ckpt") == step + 4
    assert run.logged_steps() == list(range(step + 4))
    assert json.loads((run.run_dir / "run.json").read_text())["finished_at_step"] == step + 4
    starts = read_offline_wandb(run.run_dir)
    assert len(starts) == 3
    assert len({start["id"] for start in starts}) == 1
    assert [start["preempting"] for start in starts] == [True, False, False]


@pytest.mark.slow
def test_panoramas_are_scored_with_sharded_weights(fit: Callable[..., Fit], tmp_path: Path) -> None:
    config = tmp_path / "scored.yaml"
    config.write_text(
        """
trainer:
  callbacks+:
    - class_path: lit_outpaint.callbacks.eval_metrics.EvalMetrics
      init_args: {metrics: [{class_path: eval.metrics.Seam}], panoramas: 1, steps: 2,
                  sampling: {num_inference_steps: 1}}
"""
    )
    run = fit(COCO, SHARDED, str(config))
    run.run("--trainer.max_steps", "2")
    (scores,) = run.run_dir.glob("eval/step-*/metrics.json")
    assert any(name.startswith("seam.") for name in json.loads(scores.read_text()))


@pytest.mark.slow
def test_no_rank_is_left_behind_when_rank_0_alone_fails(fit: Callable[..., Fit]) -> None:
    run = fit(COCO)
    run.run_dir.mkdir()
    (run.run_dir / "samples").write_text("in the way of the directory")
    process = run.start()
    assert run.end(process) not in (0, None), "pipes close when the last rank is gone"
    assert "FileExistsError" in run.lines
