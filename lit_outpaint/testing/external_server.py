"""Servers of others in a process of their own, for tests and benchmarks that ask the real thing."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

START_S: Final = 240.0
"""How long a server may take to start."""


@contextmanager
def running(command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start a server on a free port and give its ``base_url``; it ends with the block.

    Args:
        command: the server and its flags; ``--host`` and ``--port`` are added.
        log: takes what the server says.
        environment: of the process; this one's when None.

    Raises:
        RuntimeError: it ends, or ``/health`` does not answer within ``START_S``.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *where], stdout=output, stderr=output, env=environment)
        try:
            _await_health(f"http://127.0.0.1:{port}/health", process, str(command[0]), log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_health(url: str, process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):  # 503 while the weights are read.
            time.sleep(0.2)
    said = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{name} did not start within {START_S} s: {said}")
