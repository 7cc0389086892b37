"""``consolidate``: the checkpoint of a sharded run, a directory, becomes one file."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lit_outpaint.cli.one_line_parser import OneLineParser


def consolidate(directory: str | Path, out: str | Path) -> Path:
    """Write one file with what the files of all ranks hold; it appears whole or not at all.

    Args:
        directory: checkpoint that a run under ``ShardedStrategy`` left.
        out: file to make.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: it is no such checkpoint, or ``out`` exists.
    """
    directory, out = Path(directory), Path(out)
    if out.exists():
        raise ValueError(f"--out must be a new file, but {out} exists; give another one")
    if directory.is_file():
        raise ValueError(f"{directory} is one file already; consolidate takes the directory that a sharded run left")
    if not directory.exists():
        raise FileNotFoundError(f"the checkpoint to consolidate must be there, found no {directory}")
    # A refusal does not wait for them.
    import torch

    import lit_outpaint.module  # noqa: F401, declares what a checkpoint may hold
    from lit_outpaint.training.checkpoint import publish, read_checkpoint

    checkpoint = read_checkpoint(directory)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        torch.save(checkpoint, draft)
        publish(draft, out)
    finally:
        draft.unlink(missing_ok=True)
    return out


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    parser = OneLineParser(
        prog="python -m lit_outpaint consolidate",
        description="Make one file of the checkpoint directory that a sharded run left. Runs continue from either,"
        " export and eval read either; one file is easier to move.",
    )
    parser.add_argument("directory", help="the checkpoint, such as runs/NAME/last.ckpt")
    parser.add_argument("--out", required=True, help="file to write")
    options = parser.parse_args(argv)
    sys.stdout.write(f"{consolidate(options.directory, options.out)}\n")
    return 0
