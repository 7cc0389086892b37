import os
from pathlib import Path

import pytest

from lit_outpaint.system import threads
from lit_outpaint.system.threads import (
    loader_workers,
    ranks_here,
    ranks_sharing,
    settle_threads,
    sharing_cores,
    threads_beside,
    threads_of_each,
    threads_told,
    usable_cores,
)


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_processors", lambda: set(range(8)))
    monkeypatch.setattr(threads, "_physical_cores", lambda: 8)


def _group(root: Path, files: dict[str, str], lines: str) -> tuple[Path, Path]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "of_process").write_text(lines)
    return root, root / "of_process"


V1 = "4:cpu,cpuacct:/docker/a\n3:memory:/docker/a\n"
QUOTAS = {
    "version 2": ({"cpu.max": "250000 100000\n"}, "0::/\n", 2),
    "version 2, of a parent": ({"pod/cpu.max": "300000 100000", "pod/c/cpu.max": "max 100000"}, "0::/pod/c\n", 3),
    "version 2, below one core": ({"cpu.max": "50000 100000\n"}, "0::/\n", 1),
    "version 2, none": ({"cpu.max": "max 100000\n"}, "0::/\n", 8),
    "version 2, above the cores": ({"cpu.max": "9900000 100000\n"}, "0::/\n", 8),
    "version 1": ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/\n", 4),
    # A container sees its own group at the root of the mount, under the name that the host gave it.
    "version 1, two controllers": (
        {"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        V1,
        2,
    ),
    "version 1, none": ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/\n", 8),
    "nothing to read": ({}, "0::/nowhere\n", 8),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_a_share_of_time_limits_the_threads(name: str, eight_cores: None, tmp_path: Path) -> None:
    files, lines, expected = QUOTAS[name]
    assert usable_cores(*_group(tmp_path, files, lines)) == expected


def test_a_machine_without_control_groups_has_its_cores(eight_cores: None, tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "absent", tmp_path / "absent") == 8


def test_processors_that_it_may_not_run_on_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({}, 1),
        ({"LOCAL_WORLD_SIZE": "4"}, 4),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x3)", "SLURM_CPUS_ON_NODE": "8"}, 2),
        # srun has bound each task to cores of its own: those are all that is to be seen.
        ({"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_CPUS_ON_NODE": "16"}, 1),
    ],
)
def test_ranks_share_the_cores(environment: dict[str, str], ranks: int, eight_cores: None) -> None:
    assert ranks_here(environment) == ranks
    settle_threads(environment)
    assert int(environment["OMP_NUM_THREADS"]) == usable_cores() // ranks


def test_threads_wait_asleep_unless_the_user_says_otherwise() -> None:
    plain: dict[str, str] = {}
    settle_threads(plain)
    assert (plain["OMP_WAIT_POLICY"], plain["GOMP_SPINCOUNT"]) == ("passive", "0")
    own = {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "active"}
    settle_threads(own)
    assert own == {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "active"}
    spinning = {"OMP_NUM_THREADS": "3", "GOMP_SPINCOUNT": "100"}
    settle_threads(spinning)
    assert spinning["GOMP_SPINCOUNT"] == "100"


def test_processes_side_by_side_share_what_no_user_has_set(eight_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setattr(threads, "_settled", set())
    assert threads_of_each(2, {"OMP_NUM_THREADS": "6"}) == {}
    assert threads_of_each(3, {}) == {"OMP_NUM_THREADS": "2"}
    settled: dict[str, str] = {}
    settle_threads(settled)
    assert threads_of_each(4, settled) == {"OMP_NUM_THREADS": "2"}
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
    settle_threads()
    with sharing_cores(8):
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "8"


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8, 13, 64])
def test_threads_and_loader_workers_of_a_rank_have_a_core_each(cores: int, on_cpu: bool) -> None:
    threads = threads_beside(cores, None, on_cpu=on_cpu)
    workers = loader_workers(cores, threads, on_cpu=on_cpu)
    assert threads >= 1
    assert threads + workers == cores or (not on_cpu and workers == 8)
    assert workers == (min(2, cores // 4) if on_cpu else min(8, cores - 1))
    # A user's threads leave fewer for workers, and a user's workers fewer for threads.
    assert loader_workers(cores, cores, on_cpu=on_cpu) == 0
    assert threads_beside(cores, 3, on_cpu=on_cpu) == max(1, cores - 3)


def test_ranks_are_those_that_a_launcher_names_or_one_a_device() -> None:
    assert ranks_sharing(4, {}) == 4
    assert ranks_sharing(4, {"LOCAL_WORLD_SIZE": "2"}) == 2
    # srun has bound each task to cores of its own.
    assert ranks_sharing(4, {"SLURM_STEP_TASKS_PER_NODE": "4", "SLURM_CPUS_ON_NODE": "999"}) == 1
    assert (threads_told({}), threads_told({"OMP_NUM_THREADS": "6"}), threads_told({"OMP_NUM_THREADS": "4,2"})) == (
        1,
        6,
        4,
    )
