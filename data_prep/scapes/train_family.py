"""Train the parts of the family one after the other; killed at any moment, the same command continues.

    python -m data_prep.scapes.train_family --work runs/family --device auto
    python -m data_prep.scapes.train_family --work runs/family --minutes base=60 decoder=20 --parts decoder base

The family that training starts from is copied to ``WORK/models`` once; parts are trained there and replace what was
copied. Each part is a command of its own, ``python -m data_prep.scapes.train_PART``, and keeps its state in ``WORK``.
On a GPU windows are rendered and encoded beforehand and what learns is compiled; on a CPU they are when they are first
seen. ``--ship DIR`` copies the weights that training changed, no file above 16 MiB, to a folder at the end; with
``--parts none`` it trains nothing and copies what is there.
"""

import argparse
import filecmp
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data_prep.scapes.command import RECORD
from lit_outpaint.system.files import written_whole

logger = logging.getLogger(__name__)

LARGEST_FILE = 16 * 2**20
"""Weights are shipped in files of this many bytes at most."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One command of the driver."""

    cpu_minutes: float
    """Wall time on CPU threads, unless told."""
    gpu_minutes: float
    """Wall time on a GPU, unless told; the parts of the default come to eight minutes with what is prepared."""
    warm: bool = False
    """Whether it continues with the weights that are there."""
    gpu_batch: int | None = None
    """Windows a step on a GPU; None is the part's own number."""
    options: tuple[str, ...] = ()
    """Further options of its command."""


PARTS: dict[str, Part] = {
    "vae": Part(cpu_minutes=23, gpu_minutes=2),
    "clip": Part(cpu_minutes=6, gpu_minutes=1),
    "probe": Part(cpu_minutes=6, gpu_minutes=1, options=("--seed", "2")),
    "eval_clip": Part(cpu_minutes=9, gpu_minutes=1, options=("--seed", "1")),
    "decoder": Part(cpu_minutes=60, gpu_minutes=1.5, gpu_batch=64),
    "base": Part(cpu_minutes=330, gpu_minutes=2.5, warm=True, gpu_batch=512, options=("--staged_share", "0.3")),
    "outpaint": Part(cpu_minutes=120, gpu_minutes=2, warm=True, gpu_batch=192),
    "lm": Part(cpu_minutes=60, gpu_minutes=3),
}
"""In the order of training."""

GOING_ON = ("decoder", "base", "outpaint")
"""Parts that continue with a trained family; the default."""


def part_command(name: str, work: Path, device: torch.device, minutes: Mapping[str, float], windows: int) -> list[str]:
    """The command that trains a part, or continues with it."""
    part, on_gpu = PARTS[name], device.type == "cuda"
    spent = minutes.get(name, part.gpu_minutes if on_gpu else part.cpu_minutes)
    words = [sys.executable, "-m", f"data_prep.scapes.train_{name}", "--work", str(work), "--out", str(work / "models")]
    words += ["--minutes", f"{spent:g}", "--device", device.type, "--windows", str(windows), *part.options]
    words += ["--warm"] if part.warm else []
    if on_gpu:
        words += ["--compile"] if name in GOING_ON else []
        words += ["--batch_size", str(part.gpu_batch)] if part.gpu_batch is not None else []
    return words


def train_parts(
    work: Path, parts: Sequence[str], start: Path, device: torch.device, minutes: Mapping[str, float], windows: int
) -> None:
    """Train parts in the order of `PARTS`; those that a run before this one finished with the same command are left.

    Raises:
        subprocess.CalledProcessError: a part failed; it has said why.
    """
    copy_once(start, work / "models")
    done_path = work / "done.json"
    done: dict[str, list[str]] = json.loads(done_path.read_text()) if done_path.exists() else {}
    for name in (name for name in PARTS if name in parts):
        command = part_command(name, work, device, minutes, windows)
        if done.get(name) == command[1:]:
            logger.info("%s: trained already", name)
            continue
        logger.info("%s: %s", name, " ".join(command[1:]))
        subprocess.run(command, check=True)
        done[name] = command[1:]
        with written_whole(done_path) as draft:
            draft.write_text(json.dumps(done, indent=1) + "\n")


def copy_once(start: Path, family: Path) -> None:
    """Copy the family that training starts from, unless that was done."""
    if family.exists():
        return
    partial = family.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(start, partial)
    partial.rename(family)


def ship(family: Path, start: Path, out: Path) -> list[Path]:
    """Copy the weights of a family that differ from those it started from, and the record of its trainings.

    Returns:
        What was copied, relative to the family.

    Raises:
        ValueError: a file is above the limit.
    """
    weights = sorted(path.relative_to(family) for path in family.rglob("*.safetensors"))
    changed = [path for path in weights if not _same(family / path, start / path)]
    for path in (*changed, Path(RECORD)):
        size = (family / path).stat().st_size
        if size > LARGEST_FILE:
            raise ValueError(f"files of weights must be at most 16 MiB, {path} has {size / 2**20:.1f} MiB")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(family / path, out / path)
    return changed


def _same(one: Path, other: Path) -> bool:
    return other.exists() and filecmp.cmp(one, other, shallow=False)


def parse_minutes(word: str) -> tuple[str, float]:
    """Read ``PART=MINUTES``.

    >>> parse_minutes("base=2.5")
    ('base', 2.5)
    """
    name, _, number = word.partition("=")
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"minutes are given as PART=MINUTES, PART of {', '.join(PARTS)}; got {word!r}")
    try:
        return name, float(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"minutes must be a number, got {word!r}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="states, caches, logs, and the family being trained")
    parser.add_argument("--start", type=Path, default=Path("models/scapes"), help="family that training starts from")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "none"], default=list(GOING_ON), help="what to train")
    parser.add_argument(
        "--minutes", nargs="+", type=parse_minutes, default=[], metavar="PART=MINUTES", help="wall time of parts"
    )
    parser.add_argument("--windows", type=int, default=48_000, help="training windows of each part")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--ship", type=Path, help="folder that receives the trained family")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    try:
        train_parts(args.work, args.parts, args.start, torch.device(chosen), dict(args.minutes), args.windows)
        if args.ship is not None:
            ship(args.work / "models", args.start, args.ship)
    except subprocess.CalledProcessError as error:
        print(f"train_family: {error.cmd[2]} ended with code {error.returncode}", file=sys.stderr)
        return 2 if error.returncode == 2 else 1
    except (ValueError, OSError) as error:
        print(f"train_family: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
