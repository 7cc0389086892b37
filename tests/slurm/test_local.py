"""A sweep on this machine that somebody stops: nothing of it runs any longer, and the same command continues it."""

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
import torch

from slurm.record import load_record

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300
NAP = """
import os, pathlib, sys, time
def main(words):
    return 0
if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(3600)
"""


def wait_for(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.05)


def gone(process: int) -> bool:
    try:
        # A zombie that nobody waits for is gone too.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a local sweep as a shell would, in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def sweep(file: Path, out: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "slurm", "sweep", str(file), "--out", str(out), "--local", *words]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=variables, cwd=ROOT, process_group=0, **pipe))
        return started[-1]

    yield sweep
    for process in started:
        while process.poll() is None:  # Once lets the cells save, twice ends them.
            process.terminate()
            time.sleep(0.2)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_sweep_leaves_no_process_behind(
    number: signal.Signals, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "napping").mkdir()
    (tmp_path / "napping" / "__main__.py").write_text(NAP)
    file = tmp_path / "nap.yaml"
    file.write_text(f"seeds: [0, 1, 2]\nevaluate: python -m napping {tmp_path}/{{seed}}\nreport: [seam]\n")
    sweep = start(file, tmp_path / "out", "-j", "2", PYTHONPATH=str(tmp_path))
    napping = [tmp_path / "0", tmp_path / "1"]
    wait_for(lambda: all(path.is_file() and path.read_text() for path in napping), "the naps")
    # Ctrl-C in a terminal reaches the whole foreground group.
    os.killpg(sweep.pid, number)
    _, said = sweep.communicate(timeout=PATIENCE_S)
    assert sweep.returncode == 128 + number
    assert said.splitlines()[-1].startswith(f"slurm: stopped by {number.name}; the same command continues")
    for path in napping:
        wait_for(lambda path=path: gone(int(path.read_text())), "the end of a nap")  # type: ignore[misc]
    assert not (tmp_path / "2").exists()


@pytest.mark.slow
def test_a_stopped_training_saves_and_the_same_command_goes_on(
    start: Callable[..., subprocess.Popen[str]], toy_family: Path, toy_shards: Path, tmp_path: Path
) -> None:
    base, file, out = tmp_path / "base.yaml", tmp_path / "toy.yaml", tmp_path / "out"
    # It waits at step 2 for the signal, so that nothing depends on how fast the machine is.
    base.write_text(
        f"""
trainer: {{accelerator: cpu, max_steps: 4, num_sanity_val_steps: 0, enable_progress_bar: false, log_every_n_steps: 1,
  callbacks: [{{class_path: lit_outpaint.testing.runs.HoldForSignal, init_args: {{task: 0, step: 2}}}}]}}
model: {{base: {{pretrained: {toy_family}}}}}
data: {{shards: {toy_shards}, batch_size: 2, num_workers: 1}}
checkpoint: {{every_n_train_steps: 2}}
"""
    )
    file.write_text(f"base: {base}\nseeds: [0]\nreport: [train/loss]\n")
    sweep = start(file, out, SLURM_ARRAY_TASK_ID="0")
    wait_for((out / "base-seed0" / "last.ckpt").is_file, "a first checkpoint")
    sweep.terminate()
    _, said = sweep.communicate(timeout=PATIENCE_S)
    assert sweep.returncode == 128 + signal.SIGTERM
    assert "the same command continues" in said.splitlines()[-1]
    record = load_record(out)
    run_dir = record.run_dir(record.cells[0])
    assert torch.load(run_dir / "last.ckpt", weights_only=True)["global_step"] == 3
    assert "finished_at_step" not in json.loads((run_dir / "run.json").read_text())
    again = start(file, out)
    said, _ = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0
    assert "1 of 1 cells are done" in said
    assert torch.load(run_dir / "last.ckpt", weights_only=True)["global_step"] == 4
