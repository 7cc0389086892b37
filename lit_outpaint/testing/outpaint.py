"""What tests of ``outpaint``'s command line look at: arguments, journal and bytes of a run."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lit_outpaint.cli.outpaint import main

FAST = ("--num_inference_steps", "2", "--device", "cpu")
"""Options of a run that shall be short."""


def argv_of(arguments: dict[str, str]) -> list[str]:
    """The command line of options and values, of a short run."""
    return [*(part for pair in arguments.items() for part in pair), *FAST]


def outpaint_as_rank(rank: int, world_size: int, arguments: Sequence[str], said: Path) -> None:
    """``outpaint`` in a process of its own that its environment tells who it is, as torchrun does.

    Args:
        rank: this process.
        world_size: how many there are.
        arguments: of the command line.
        said: directory that gets ``RANK.out`` and ``RANK.err``.
    """
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size), "LOCAL_RANK": str(rank)}
    sys.stdout, sys.stderr = ((said / f"{rank}.{name}").open("w") for name in ("out", "err"))
    sys.exit(main(arguments))


def records_of(run: Path) -> list[dict[str, Any]]:
    """The journal without the wall times."""
    lines = (run / "steps.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


def pixel_files_of(run: Path) -> dict[str, bytes]:
    """Every byte of the picture: all files of the array, and the panorama."""
    files = [path for path in (run / "canvas.zarr").rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in [*files, run / "panorama.png"]}
