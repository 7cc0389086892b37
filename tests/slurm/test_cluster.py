"""The whole way on a real SLURM of one node: submit, array, pre-emption, requeue, resume, evaluation, collect.

``make test-slurm``; slurm/dev/start.sh installs SLURM where that is allowed, and says in one line why not where it is
not.
"""

import csv
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from slurm.record import load_record

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).resolve().parents[2]
DEV = ROOT / "slurm" / "dev"
STEPS, SAVED_EVERY, PREEMPTED, HELD_AT = 30, 10, 1, 12
PATIENCE_S = 3600


class Cluster(NamedTuple):
    """A running SLURM and a place to work in."""

    environment: dict[str, str]
    directory: Path

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            words, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def slurm(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "slurm", *words)

    def wait(self, what: str, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not reached():
            logs = [*self.directory.rglob("*.log")]
            said = "\n".join(f"{path}: {path.read_text()[-800:]}" for path in logs if "state" not in path.parts)
            assert time.monotonic() < end, f"{what} did not come: {self.run('squeue', '-r')}\n{said}"
            time.sleep(0.3)

    def idle(self) -> bool:
        return not self.run("squeue", "--noheader").strip()


class Swept(NamedTuple):
    """A finished sweep with one cell that was pre-empted."""

    directory: Path
    file: Path
    said: str
    status_between: str


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "LIT_OUTPAINT_"))},
        "SLURM_DEV_DIR": str(directory / "state"),
        "SLURM_DEV_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    started = subprocess.run([DEV / "start.sh"], env=environment, capture_output=True, text=True, check=False)
    if started.returncode != 0:
        pytest.exit(started.stderr.strip().splitlines()[-1], returncode=2)
    environment |= {"SLURM_CONF": str(directory / "state" / "slurm.conf"), "PATH": f"{environment['PATH']}:/usr/sbin"}
    yield Cluster(environment, directory)
    subprocess.run([DEV / "stop.sh", "--wipe"], env=environment, check=True)


@pytest.fixture(scope="module")
def shards(toy_family: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from data_prep.__main__ import main

    out = tmp_path_factory.mktemp("shards") / "data"
    counts = "--windows 8 --val-windows 4 --panoramas 2 --eval-windows 0 --eval-steps 1 --samples-per-shard 8"
    assert main(["all", "--source", "scapes", "--out", str(out), "--models", str(toy_family), *counts.split()]) == 0
    return out


@pytest.fixture(scope="module")
def base(toy_family: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "toy.yaml"
    path.write_text(
        f"""
trainer: {{accelerator: cpu, max_steps: {STEPS}, check_val_every_n_epoch: 10, num_sanity_val_steps: 0,
  log_every_n_steps: 1, enable_progress_bar: false,
  callbacks: [{{class_path: lit_outpaint.testing.runs.HoldForSignal,
                init_args: {{task: {PREEMPTED}, step: {HELD_AT}}}}}]}}
model: {{base: {{pretrained: {toy_family}}}}}
data: {{shards: {shards}, batch_size: 4, num_workers: 0}}
checkpoint: {{every_n_train_steps: {SAVED_EVERY}}}
"""
    )
    return path


@pytest.fixture(scope="module")
def swept(cluster: Cluster, base: Path, shards: Path) -> Swept:
    """Two cells, one of which is told to leave while it trains, and comes back by itself.

    It waits at a step for that, so that nothing depends on how fast the machine is.
    """
    file = cluster.directory / "toy.yaml"
    file.write_text(
        f"""
base: {base}
grid: {{model.optim.lr: {{low: 1.0e-4}}}}
seeds: [0, 1]
evaluate: >-
  python -m eval run --checkpoint {{run}}/last.ckpt --data {shards} --out {{run}}/eval --panoramas 2 --steps 1 --shown 1
  --sampling.window_px 128 --sampling.num_inference_steps 1
report: [train/loss, val/loss, seam]
"""
    )
    out = cluster.directory / "sweep"
    said = cluster.slurm("sweep", str(file), "--out", str(out), "--throttle", "2")
    train = json.loads((out / "jobs.json").read_text())[0]["job_id"]
    record = load_record(out)
    run_dir = record.run_dir(record.cells[PREEMPTED])
    cluster.wait("a first checkpoint", (run_dir / "last.ckpt").exists)
    status = cluster.slurm("status", str(out))
    # It says that the job cannot be altered when the job was requeued before it looked again.
    cluster.run("scancel", "--signal=USR1", f"{train}_{PREEMPTED}", check=False)
    cluster.wait("the end of all jobs", cluster.idle)
    return Swept(out, file, said, status)


def test_every_cell_is_trained_and_scored(cluster: Cluster, swept: Swept) -> None:
    lines = cluster.slurm("status", str(swept.directory)).splitlines()
    assert lines[-1] == "2 of 2 cells are done"
    assert "queued toy-train" in swept.said
    assert any("-seed1 " in line and "running" in line for line in swept.status_between.splitlines())


def test_the_told_cell_left_early_and_was_requeued(swept: Swept) -> None:
    logs = {path: path.read_text() for path in (swept.directory / "slurm").glob("*.log")}
    (left,) = (path for path, text in logs.items() if f"SIGUSR1: saved step {HELD_AT + 1}" in text)
    assert left.stem.endswith(f"_{PREEMPTED}")
    assert "Restored" in logs[left] or "Restoring" in logs[left]


def test_the_requeued_cell_ends_with_the_weights_of_an_undisturbed_run(cluster: Cluster, swept: Swept) -> None:
    record = load_record(swept.directory)
    cell = record.cells[PREEMPTED]
    assert cell.fit is not None
    words = [word for word in cell.fit if not word.startswith("--runs_dir")]
    undisturbed = cluster.directory / "undisturbed"
    cluster.run(sys.executable, "-m", "lit_outpaint", *words, f"--runs_dir={undisturbed}", "--trainer.devices=1")
    ours, theirs = (
        torch.load(directory / cell.name / "last.ckpt", weights_only=True)["state_dict"]
        for directory in (swept.directory, undisturbed)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_no_step_of_the_requeued_cell_is_logged_twice(swept: Swept) -> None:
    record = load_record(swept.directory)
    path = record.run_dir(record.cells[PREEMPTED]) / "metrics.csv"
    with path.open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert steps == list(range(STEPS))


def test_collect_sums_up_over_seeds(cluster: Cluster, swept: Swept) -> None:
    said = cluster.slurm("collect", str(swept.directory))
    assert "no cell is missing" in said
    with (swept.directory / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["model.optim.lr"], row["figure"]) for row in rows} == {
        ("low", figure) for figure in ("train/loss", "val/loss", "seam")
    }
    assert {row["runs"] for row in rows} == {"2"}


def test_only_what_is_missing_is_queued_again(cluster: Cluster, swept: Swept) -> None:
    again = ["sweep", str(swept.file), "--out", str(swept.directory)]
    assert "nothing is missing" in cluster.slurm(*again)
    record = load_record(swept.directory)
    lost = record.run_dir(record.cells[0]) / "eval" / "metrics.json"
    lost.unlink()
    assert "queued toy-evaluate" in cluster.slurm(*again)
    assert json.loads((swept.directory / "jobs.json").read_text())[-1]["cells"] == [0]
    cluster.wait("the evaluation", cluster.idle)
    assert lost.exists()


def test_a_submitted_run_trains_to_its_end(cluster: Cluster, base: Path) -> None:
    runs = cluster.directory / "runs"
    overrides = shlex.split(f"--name=one --runs_dir={runs} --trainer.max_steps=3")
    command = ["submit", "-c", str(base), "--", *overrides]
    assert "queued one as job" in cluster.slurm(*command)
    cluster.wait("the end of the job", cluster.idle)
    assert json.loads((runs / "one" / "run.json").read_text())["finished_at_step"] == 3
    refused = cluster.run(sys.executable, "-m", "slurm", *command, check=False)
    assert "holds a run" in refused


def test_a_key_that_does_not_exist_queues_nothing(cluster: Cluster, base: Path) -> None:
    file, out = cluster.directory / "wrong.yaml", cluster.directory / "wrong"
    file.write_text(f"base: {base}\ngrid: {{data.mask_ration: [0.5]}}\n")
    command = [sys.executable, "-m", "slurm", "sweep", str(file), "--out", str(out)]
    done = subprocess.run(command, env=cluster.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "mask_ration" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not out.exists()
    assert cluster.idle()
