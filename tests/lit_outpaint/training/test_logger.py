"""Weights & Biases offline: what the real CLI logs is read back from the files."""

import csv
import json
import signal
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_outpaint.__main__ import main
from lit_outpaint.testing.wandb import read_offline_wandb
from lit_outpaint.training.logger import WANDB_ID_NAME, WandbConfig, wandb_id


@pytest.fixture(scope="module")
def run_dir(toy_family: Path, toy_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a sample grid that was pre-empted after three steps and went on from the second, in one W&B group."""
    runs = tmp_path_factory.mktemp("runs")
    grid = runs / "grid.yaml"
    grid.write_text(
        "trainer: {callbacks: [{class_path: lit_outpaint.callbacks.sample_grid.SampleGrid,"
        " init_args: {num_windows: 1, num_inference_steps: 1}}]}\n"
    )
    options = {
        "data.shards": toy_shards,
        "data.batch_size": 2,
        "data.num_workers": 0,
        "model.base.pretrained": toy_family,
        "runs_dir": runs,
        "name": "toy",
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
        "trainer.log_every_n_steps": 1,
        "trainer.num_sanity_val_steps": 0,
        "trainer.check_val_every_n_epoch": "null",
        "wandb.project": "outpaint-test",
        "wandb.group": "a-sweep",
    }
    argv = ["fit", "-c", str(grid), *(f"--{key}={value}" for key, value in options.items())]
    preempted = [
        "--trainer.max_steps=9",
        "--trainer.val_check_interval=2",
        "--checkpoint.save_top_k=-1",
        "--checkpoint.every_n_train_steps=2",
        "--trainer.callbacks+=lit_outpaint.callbacks.preemption.Preemption",
        "--trainer.callbacks+=lit_outpaint.testing.runs.SendSignal",
        "--trainer.callbacks.mine=true",
    ]
    # A run that leaves stays deaf to these, and here its process continues.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    assert main([*argv, *preempted]) == 0
    for number, handler in handlers.items():
        signal.signal(number, handler)
    assert main([*argv, "--trainer.max_steps=4", f"--ckpt_path={runs / 'toy' / 'step=0000002.ckpt'}"]) == 0
    return runs / "toy"


@pytest.fixture(scope="module")
def offline(run_dir: Path) -> list[dict[str, Any]]:
    """What the offline files hold, one entry a start."""
    return read_offline_wandb(run_dir)


def test_a_resumed_run_keeps_its_id_and_group(run_dir: Path, offline: list[dict[str, Any]]) -> None:
    kept = (run_dir / WANDB_ID_NAME).read_text().split()
    assert [(run["id"], run["project"]) for run in offline] == [tuple(kept)] * 2
    assert {run["group"] for run in offline} == {"a-sweep"}
    assert {run["name"] for run in offline} == {"toy"}


def test_the_curve_of_wandb_is_that_of_metrics_csv(run_dir: Path, offline: list[dict[str, Any]]) -> None:
    with (run_dir / "metrics.csv").open(newline="") as file:
        written = {int(row["step"]): float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]}
    logged = {
        row["trainer/global_step"]: row["train/loss"] for run in offline for row in run["rows"] if "train/loss" in row
    }
    assert logged == pytest.approx(written)
    assert sorted(logged) == [0, 1, 2, 3]


def test_wandb_knows_of_the_preemption_and_lost_no_row_to_it(offline: list[dict[str, Any]]) -> None:
    assert [(run["preempting"], run["exit_code"]) for run in offline] == [(True, 128 + signal.SIGTERM), (False, 0)]
    steps = [[row["trainer/global_step"] for row in run["rows"] if "train/loss" in row] for run in offline]
    assert steps == [[0, 1, 2], [2, 3]]


def test_tensorboard_shows_no_step_twice(run_dir: Path) -> None:
    board = EventAccumulator(str(run_dir))
    board.Reload()
    assert [point.step for point in board.Scalars("train/loss")] == [0, 1, 2, 3]


def test_sample_grids_are_logged_as_pictures(run_dir: Path, offline: list[dict[str, Any]]) -> None:
    (name,) = (name for row in offline[0]["rows"] for name in row.get("val/samples.filenames", []))
    (stored,) = (run_dir / "wandb").glob(f"offline-run-*/files/{name}")
    assert stored.stat().st_size > 0


def test_a_finished_run_says_so(run_dir: Path) -> None:
    assert json.loads((run_dir / "run.json").read_text())["finished_at_step"] == 4


def test_processes_that_start_together_agree_on_the_id(tmp_path: Path) -> None:
    with ThreadPool(8) as pool:
        ids = pool.map(lambda _: wandb_id(tmp_path, "p"), range(32))
    assert len(set(ids)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [WANDB_ID_NAME]


def test_runs_have_different_ids(tmp_path: Path) -> None:
    assert wandb_id(tmp_path / "a", "p") != wandb_id(tmp_path / "b", "p")


def test_nothing_is_logged_there_unless_asked() -> None:
    assert WandbConfig().project is None
