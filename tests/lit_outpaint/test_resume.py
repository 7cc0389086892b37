"""Runs that are interrupted in every way, through the real command line in processes of their own."""

import csv
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from lit_outpaint.testing.runs import interruptible_fit

STEPS = 10


class Run:
    """A toy run in ``runs/name``, started as often as need be."""

    def __init__(self, family: Path, shards: Path, runs: Path, name: str, steps: int = STEPS) -> None:
        self.directory = runs / name
        self.arguments = [
            "fit",
            f"--data.shards={shards}",
            f"--model.base.pretrained={family}",
            f"--runs_dir={runs}",
            f"--name={name}",
            f"--trainer.max_steps={steps}",
            "--ckpt_path=last",
        ]

    def start(self, *more: str) -> BaseProcess:
        # The server has the imports behind it, and the process is a process of its own.
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=interruptible_fit, args=([*self.arguments, *more], self.directory))
        process.start()
        return process

    def finish(self, *more: str) -> None:
        process = self.start(*more)
        process.join(300)
        assert process.exitcode == 0

    def interrupt(self, number: int, batches: int, delay_s: float = 0.0, *more: str) -> int | None:
        """Send a signal some batches into this start; returns the exit code."""
        goal = len(self.seen()) + batches
        process = self.start(*more)
        wait_for(lambda: len(self.seen()) >= goal or not process.is_alive())
        time.sleep(delay_s)
        if process.is_alive():
            assert process.pid is not None
            os.kill(process.pid, number)
        process.join(300)
        return process.exitcode

    def seen(self) -> list[tuple[int, str]]:
        """Number and samples of every batch, in the order of training, repeated batches included."""
        path = self.directory.parent / f"{self.directory.name}.batches"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), line.split()[1]) for line in lines if line.endswith(";")]

    def checkpoint(self) -> dict:
        return torch.load(self.directory / "last.ckpt", weights_only=True)


def wait_for(condition: Callable[[], bool], timeout_s: float = 300.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_same(run: Run, reference: Run) -> None:
    """Weights, moving average, optimiser and sample order are equal, bit for bit."""
    for ours, other in zip(flat(run.checkpoint()), flat(reference.checkpoint()), strict=True):
        assert ours[0] == other[0]
        assert torch.equal(ours[1], other[1]), ours[0]
    assert set(run.seen()) == set(reference.seen())


def flat(checkpoint: dict) -> list[tuple[str, torch.Tensor]]:
    """Every tensor that training moves on, and the random states."""
    found: list[tuple[str, torch.Tensor]] = []

    def visit(name: str, value: object) -> None:
        if isinstance(value, torch.Tensor):
            found.append((name, value))
        elif isinstance(value, dict):
            for key in value:
                visit(f"{name}.{key}", value[key])
        elif isinstance(value, list | tuple):
            for place, part in enumerate(value):
                visit(f"{name}.{place}", part)
        elif isinstance(value, int | float):
            found.append((name, torch.tensor(value)))

    for key in ("state_dict", "ema", "optimizer_states", "lr_schedulers", "random_states", "global_step"):
        visit(key, checkpoint[key])
    return found


@pytest.fixture(scope="module")
def undisturbed(toy_family: Path, toy_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(toy_family, toy_shards, tmp_path_factory.mktemp("runs"), "undisturbed")
    run.finish()
    return run


def test_a_run_that_was_killed_ends_as_an_undisturbed_one(
    undisturbed: Run, toy_family: Path, toy_shards: Path, tmp_path: Path
) -> None:
    run = Run(toy_family, toy_shards, tmp_path, "disturbed")
    assert run.interrupt(signal.SIGKILL, batches=6) == -signal.SIGKILL
    run.finish()
    assert_same(run, undisturbed)
    with (run.directory / "metrics.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert steps == list(range(STEPS)), "every step is logged once"


@pytest.mark.slow
def test_thirty_random_interruptions_change_nothing(toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    steps, source = 200, random.Random(5)
    reference, run = (Run(toy_family, toy_shards, tmp_path, name, steps) for name in ("reference", "disturbed"))
    reference.finish()
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1] * 10
    source.shuffle(numbers)
    for number in numbers:
        code = run.interrupt(number, source.randint(1, 8), source.uniform(0, 0.2))
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    run.finish()
    assert_same(run, reference)
