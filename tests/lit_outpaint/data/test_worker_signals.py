"""Both tests run in an interpreter of their own: a fork of this one would inherit what other tests left behind."""

import subprocess
import sys

START = """
import multiprocessing, os, signal, subprocess, sys, time
from lit_outpaint.data.worker_signals import shield

def work(ready):
    shield(0)
    ready.set()
    time.sleep(60)

context = multiprocessing.get_context("fork")
ready = context.Event()
worker = context.Process(target=work, args=(ready,), daemon=True)
worker.start()
assert ready.wait(30)
"""


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", START + script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_worker_outlives_the_signals_that_stop_a_run() -> None:
    script = """
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
    os.kill(worker.pid, number)
# From a process that is not its parent, as SLURM sends it.
subprocess.run([sys.executable, "-c", f"import os; os.kill({worker.pid}, 15)"], check=True)
worker.join(0.5)
print(worker.is_alive())
worker.kill()
"""
    assert run(script) == "True"


def test_a_worker_obeys_its_parent() -> None:
    assert run("worker.terminate(); worker.join(10); print(worker.exitcode)") == "0"
