import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lit_outpaint.cli.outpaint import main
from lit_outpaint.testing.outpaint import argv_of, pixel_files_of, records_of


def _num_lines(run: Path) -> int:
    journal = run / "steps.jsonl"
    return len(journal.read_bytes().splitlines()) if journal.exists() else 0


def _run_in_a_process(processes: Any, argv: list[str], kill_after: Callable[[], None] | None = None) -> int:
    process = processes.Process(target=main, args=(argv,))
    process.start()
    if kill_after is not None:
        kill_after()
        process.kill()  # SIGKILL; nothing when it has just ended by itself
    process.join()
    return process.exitcode


@pytest.mark.parametrize("candidates", ["1", "2"])
def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(
    arguments: dict[str, str], tmp_path: Path, processes: Any, candidates: str
) -> None:
    arguments |= {"--steps": "right:4,left:3,up:3,down:2", "--batch_size": "2", "--candidates": candidates}
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    assert _run_in_a_process(processes, argv_of({**arguments, "--out": str(undisturbed)})) == 0

    seed = random.SystemRandom().randrange(10**9)
    dice = random.Random(seed)

    def one_more_step_and_a_moment() -> None:
        lines, patience = _num_lines(run), time.monotonic() + 300
        while _num_lines(run) == lines and time.monotonic() < patience:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.3)

    killed_at = []
    for _ in range(3):
        code = _run_in_a_process(processes, argv_of(arguments), kill_after=one_more_step_and_a_moment)
        killed_at.append((code, _num_lines(run)))
    said = f"killed after {killed_at}, dice seed {seed}"
    assert killed_at[0][0] == -signal.SIGKILL, said
    assert 0 < killed_at[0][1] < 12, said
    assert _run_in_a_process(processes, argv_of(arguments)) == 0
    assert records_of(run) == records_of(undisturbed), said
    assert pixel_files_of(run) == pixel_files_of(undisturbed), said
    assert not list(tmp_path.rglob("*.partial")), said
