import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.engines import LocalEngine, make_engine
from data_prep.prefetch import behind, prefetched
from data_prep.testing import TOY_COCO_SETTINGS, build_toy_coco

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_shards(processes: int) -> None:
    assert LocalEngine(processes).map(partial(int, base=10), ["3", "1", "2", "1"], "count") == [3, 1, 2, 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_shard_raises_is_raised_as_it_was(processes: int) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        LocalEngine(processes).map(int, ["3", "x", "2"], "count")


def test_ray_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["scapes", "--out", str(tmp_path / "x"), "--windows=2", "--engine=ray"]) == 2
    assert "extra 'ray'" in capsys.readouterr().err


@pytest.mark.slow
def test_ray_ends_with_the_bytes_of_one_process(models: Path, tmp_path: Path) -> None:
    root = build_toy_coco(tmp_path / "coco")
    flags = ["--source=coco", "--root", str(root), "--val_split=val2017", "--models", str(models), "--device=cpu"]
    flags += [f"--{name}={value}" for name, value in TOY_COCO_SETTINGS.items()]
    assert main(["all", "--out", str(tmp_path / "local"), *flags, "--workers=1"]) == 0
    try:
        assert main(["all", "--out", str(tmp_path / "ray"), *flags, "--workers=2", "--engine=ray"]) == 0
        with pytest.raises(ValueError, match="invalid literal"):
            make_engine("ray", 2).map(int, ["3", "x"], "count")
    finally:
        importlib.import_module("ray").shutdown()
    names = {path.name for path in (tmp_path / "local").iterdir()}
    assert names == {path.name for path in (tmp_path / "ray").iterdir()}
    assert all((tmp_path / "local" / n).read_bytes() == (tmp_path / "ray" / n).read_bytes() for n in names)


@pytest.mark.slow
def test_ray_reads_relative_paths_from_where_the_command_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (here / "shard").write_text("7")
    try:
        monkeypatch.chdir(there)
        assert make_engine("ray", 1).map(int, ["3"], "count") == [3]
        monkeypatch.chdir(here)
        assert make_engine("ray", 1).map(os.path.getsize, ["shard"], "measure") == [1]
    finally:
        importlib.import_module("ray").shutdown()


def test_prefetching_passes_everything_on_in_order() -> None:
    assert list(prefetched(iter(range(100)), depth=3)) == list(range(100))


def test_prefetching_passes_errors_on_after_what_came_before() -> None:
    def failing() -> object:
        yield 1
        raise ValueError("second")

    items = prefetched(failing())  # type: ignore[arg-type]
    assert next(items) == 1
    with pytest.raises(ValueError, match="second"):
        next(items)


def test_prefetching_that_is_broken_off_leaves_no_thread() -> None:
    endless = prefetched(iter(int, 1))
    next(endless)
    endless.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_calls_that_are_left_behind_are_all_made_in_order() -> None:
    made: list[int] = []
    with behind(made.append, depth=3) as call:
        for number in range(100):
            call(number)
    assert made == list(range(100))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("behind")]


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2, 3]])
def test_what_a_call_that_was_left_behind_raises_is_raised(numbers: list[int]) -> None:
    def leave() -> None:
        with behind(lambda number: 1 // number, depth=2) as call:
            for number in numbers:
                call(number)

    with pytest.raises(ZeroDivisionError):
        leave()


def test_calls_that_are_left_behind_do_not_pile_up() -> None:
    gate = threading.Event()
    left = threading.Semaphore(0)

    def leave() -> None:
        with behind(gate.wait, depth=2) as call:
            for _ in range(3):
                call()
                left.release()

    thread = threading.Thread(target=leave)
    thread.start()
    assert all(left.acquire(timeout=60) for _ in range(2))
    assert not left.acquire(timeout=0.1)
    gate.set()
    thread.join()
    assert left.acquire(timeout=60)


def test_making_and_using_overlap() -> None:
    def slow() -> object:
        for number in range(10):
            time.sleep(0.05)
            yield number

    start = time.monotonic()
    for _ in prefetched(slow()):  # type: ignore[arg-type]
        time.sleep(0.05)
    assert time.monotonic() - start < 0.85


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    shard = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); time.sleep(600)"
    program = f"from data_prep.engines import LocalEngine; LocalEngine(2).map(exec, [{shard!r}] * 2, 'sleep')"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    workers = [Path("/proc", path.name) for path in tmp_path.iterdir()]
    assert all(worker.exists() for worker in workers)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(worker.exists() for worker in workers))


def wait_for(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.05)
