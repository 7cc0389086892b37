"""What the benchmarks report, and that others who compute on the machine do not multiply what a command takes of it."""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import busy, export, metrics, outpaint, startup, timing
from benchmarks.busy import COMMANDS, measured
from lit_outpaint.system.threads import usable_cores


@pytest.mark.slow
def test_a_command_takes_at_most_three_times_its_quiet_cpu_time_beside_others() -> None:
    row = measured(COMMANDS["outpaint"], rounds=1, threads=max(2, usable_cores()), defaults=False)
    assert row["busy_over_alone"] <= 3


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where reports are written instead."""
    monkeypatch.setattr(timing, "REPORTS", tmp_path / "reports")
    return tmp_path / "reports"


def test_a_report_names_the_load_before_the_work(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1e6, 1e6, 1e6))
    timing.write_report("some", {}, {})
    assert json.loads((reports / "some.json").read_text())["machine"]["load_before"] < 1e6


def test_only_a_whole_run_writes_the_report(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(busy, "measured", lambda *_: {"alone_s": 1.23456})
    monkeypatch.setattr(startup, "cpu_seconds", lambda words, code: code + 0.5)
    for benchmark, part in ((busy, ["--commands", "outpaint"]), (startup, ["--only", "slurm status"])):
        monkeypatch.setattr(sys, "argv", ["benchmark", *part])
        benchmark.main()
        assert "no report is written" in capsys.readouterr().out
        assert not reports.exists()
    for benchmark in (busy, startup):
        monkeypatch.setattr(sys, "argv", ["benchmark"])
        benchmark.main()
    rows = {path.stem: json.loads(path.read_text())["rows"] for path in reports.iterdir()}
    assert rows["busy"] == {"outpaint": {"alone_s": 1.235}, "generate": {"alone_s": 1.235}}
    told = {command: row["cpu_s"] for command, row in rows["startup"].items()}
    assert told["-m slurm status --help"] == told["-c import torch"] == 0.5
    assert told["-m slurm status absent"] == told["-m slurm status --nonsense 1"] == 2.5


def test_a_memory_measurement_that_dies_says_so() -> None:
    def kill_the_child() -> None:
        while not multiprocessing.active_children():
            time.sleep(0.01)
        for child in multiprocessing.active_children():
            child.kill()

    killer = threading.Thread(target=kill_the_child)
    killer.start()
    with pytest.raises(RuntimeError, match=f"exit code -{signal.SIGKILL:d}"):
        metrics._memory(1000)
    killer.join()


@pytest.mark.slow
def test_a_memory_measurement_brings_a_figure() -> None:
    assert 0 < metrics._memory(1000) < 4096


@pytest.mark.parametrize(
    ("benchmark", "arguments", "told"),
    [
        (outpaint, "--measure flat --steps 22 --num_inference_steps 1", "at least 40, got '22'"),
        (outpaint, "--measure tiles --picture missing.png", "missing.png, which is missing"),
        (outpaint, "--measure latency --model absent", "absent does not exist"),
        (outpaint, "--measure wavefront --windows 1 1", "more than one window"),
        (outpaint, "--measure wavefront --batch_size 1 1 1", "each size once, got 1 1 1"),
        (export, "--sizes 600", "WIDTHxHEIGHT"),
        (export, "--formats gif png", "invalid choice: 'gif'"),
        (export, "--sizes 512x512 --dir absent", "absent"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    benchmark: ModuleType,
    arguments: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments.split()])
    with pytest.raises(SystemExit) as stop:
        benchmark.main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_batches_do_not_gain_by_coming_later() -> None:
    """The first run of all takes ten seconds more, and the machine slows down by a second from run to run."""
    run: list[int] = []

    def draw(batch_size: int) -> tuple[float, float]:
        seconds = 100.0 + len(run) + (10 if not run else 0)
        run.append(batch_size)
        return seconds, seconds

    medians = outpaint._in_turns(draw, [1, 2], rounds=4)
    assert run == [2, 1, 1, 2, 2, 1, 1, 2, 2, 1]
    assert medians[1] == medians[2]
