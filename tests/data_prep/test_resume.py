"""Killed at any moment and run again, preparation ends with the bytes of an undisturbed run."""

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.config import MachineConfig
from data_prep.stages import pack_stage
from data_prep.testing import TOY_COCO_SETTINGS, build_toy_coco
from data_prep.work import Work

SCAPES = [
    "--windows=7",
    "--val_windows=0",
    "--panoramas=1",
    "--eval_windows=1",
    "--eval_steps=2",
    "--samples_per_shard=3",
]


def content(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def published(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in content(out).items() if not name.startswith("work/")}


class Preparation:
    """``python -m data_prep all`` in processes of its own that can be killed."""

    def __init__(self, source: str, flags: Sequence[str], models: Path) -> None:
        self.words = ["all", f"--source={source}", *flags, f"--models={models}", "--device=cpu", "--workers=1"]
        # Children start from a server that has the libraries loaded, so that a kill hits the work, not the imports.
        self.context = multiprocessing.get_context("forkserver")

    def run(self, out: Path, kill_after_s: float | None = None) -> float:
        """Run until the end, or until killed with SIGKILL; return the seconds it took."""
        start = time.monotonic()
        process = self.context.Process(target=main, args=([*self.words, f"--out={out}"],))
        process.start()
        process.join(kill_after_s)
        process.kill()
        process.join()
        return time.monotonic() - start


@pytest.fixture(scope="module", params=["coco", "scapes"])
def preparation(request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    if request.param == "scapes":
        return Preparation("scapes", SCAPES, models)
    root = build_toy_coco(tmp_path_factory.mktemp("input") / "coco")
    sizes = [f"--{name}={value}" for name, value in TOY_COCO_SETTINGS.items()]
    return Preparation("coco", [f"--root={root}", "--val_split=val2017", *sizes], models)


@pytest.fixture(scope="module")
def undisturbed(preparation: Preparation, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """Every byte of the set, and the seconds that it took."""
    base = tmp_path_factory.mktemp("undisturbed")
    preparation.run(base / "first")  # Loads the libraries into the server.
    seconds = preparation.run(base / "set")
    files = content(base / "set")
    assert "card.json" in files
    assert files == content(base / "first")
    return files, seconds


def check_kills(
    preparation: Preparation, undisturbed: tuple[dict[str, bytes], float], out: Path, kills: int, seed: int
) -> None:
    files, seconds = undisturbed
    moments = random.Random(seed)
    for _ in range(kills):
        preparation.run(out, kill_after_s=moments.uniform(0, seconds))
    preparation.run(out)
    assert content(out) == files


def test_three_kills_change_no_byte(
    preparation: Preparation, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    check_kills(preparation, undisturbed, tmp_path / "set", kills=3, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_twenty_kills_across_the_stages_change_no_byte(
    preparation: Preparation, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path, seed: int
) -> None:
    check_kills(preparation, undisturbed, tmp_path / "set", kills=4, seed=seed)


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


def test_a_set_that_was_killed_while_it_was_published_is_published_anew(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["all", *SCAPES, f"--models={models}", "--device=cpu", "--workers=1", "--keep_work", "--out"]
    assert main([*words, str(tmp_path / "set")]) == 0
    files = published(tmp_path / "set")
    replace = os.replace
    deaths = 0
    for moment in range(100):
        out = Path(shutil.copytree(tmp_path / "set", tmp_path / f"killed-{moment}"))
        moves = iter(range(100))

        def dying(*paths: Path, moment: int = moment, moves: object = moves) -> None:
            if next(moves) == moment:  # type: ignore[call-overload]
                raise Killed
            replace(*paths)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying)
            try:
                pack_stage(Work(out), MachineConfig(workers=1))
            except Killed:
                deaths += 1
            else:
                break
        # A card says that the set is whole.
        assert "card.json" not in content(out) or published(out) == files
        pack_stage(Work(out), MachineConfig(workers=1))
        assert published(out) == files
    assert deaths > 5


def test_what_is_left_of_the_work_of_a_finished_set_goes(models: Path, tmp_path: Path) -> None:
    words = ["all", *SCAPES, f"--models={models}", "--device=cpu", "--workers=1", "--out", str(tmp_path / "set")]
    assert main(words) == 0
    files = content(tmp_path / "set")
    (tmp_path / "set" / "work" / "raw").mkdir(parents=True)
    (tmp_path / "set" / "work" / "lock").touch()
    assert main(words) == 0
    assert content(tmp_path / "set") == files
    assert not (tmp_path / "set" / "work").exists()
