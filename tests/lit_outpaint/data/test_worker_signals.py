import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from lit_outpaint.data.worker_signals import shield


def worker(ready: Any) -> None:
    shield(0)
    ready.set()
    time.sleep(60)


@pytest.fixture
def shielded() -> Any:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=worker, args=(ready,), daemon=True)
    process.start()
    assert ready.wait(30)
    yield process
    process.kill()
    process.join()


def test_a_worker_outlives_the_signals_that_stop_a_run(shielded: Any) -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        os.kill(shielded.pid, number)
    # From a process that is not its parent, as SLURM sends it.
    subprocess.run([sys.executable, "-c", f"import os; os.kill({shielded.pid}, 15)"], check=True)
    shielded.join(0.3)
    assert shielded.is_alive()


def test_a_worker_obeys_its_parent(shielded: Any) -> None:
    shielded.terminate()
    shielded.join(10)
    assert shielded.exitcode == 0
