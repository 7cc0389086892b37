"""The command line that all training scripts share, and the record of what each run took."""

import argparse
import json
import logging
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin

from lit_outpaint.system.files import let_others_read

RECORD = "training.json"
"""What each part's training took; the model card is made of it."""


def arguments(
    description: str | None,
    *,
    minutes: float,
    lr: float,
    windows: int = 30_000,
    warm: bool = False,
    batch_size: int | None = None,
    more: Callable[[argparse.ArgumentParser], object] | None = None,
) -> argparse.Namespace:
    """Parse the options of all trainings and what ``more`` adds, and set up logging and seeds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="cache of rendered windows, checkpoints and logs")
    parser.add_argument("--out", type=Path, required=True, help="family folder that receives the part")
    parser.add_argument("--minutes", type=float, default=minutes, help="wall time of training")
    parser.add_argument("--lr", type=float, default=lr, help="peak learning rate")
    parser.add_argument("--windows", type=int, default=windows, help="training windows to render and reuse")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, windows and batches")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--compile", action="store_true", help="compile what learns; needs a C++ compiler on CPUs")
    if batch_size is not None:
        parser.add_argument("--batch_size", type=int, default=batch_size, help="windows a step")
    if warm:
        parser.add_argument("--warm", action="store_true", help="start from the part that --out holds")
    if more is not None:
        more(parser)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    return args


def record(args: argparse.Namespace, part: str, spent: dict[str, float], parameters: int) -> None:
    """Note what training a part took: seed, rate, windows, steps, minutes, size, machine."""
    on_cpu = f"{platform.machine()}, {torch.get_num_threads()} CPU threads"
    machine = torch.cuda.get_device_name(args.device) if args.device.type == "cuda" else on_cpu
    settings = {"seed": args.seed, "lr": args.lr, "windows": args.windows}
    measured = {"steps": int(spent["steps"]), "minutes": round(spent["minutes"], 1), "parameters": parameters}
    let_others_read(args.out)
    note(args.out, part, {**settings, **measured, "machine": machine, "torch": torch.__version__})


def forget_origin(model: ModelMixin) -> None:
    """Forget where a model was loaded from: its configuration would tell the folder."""
    model.register_to_config(_name_or_path="")


def note(family: Path, part: str, taken: dict[str, Any]) -> None:
    """Enter a part into `RECORD` of the family, which the model card is made of."""
    path = family / RECORD
    notes = json.loads(path.read_text()) if path.exists() else {}
    notes[part] = taken
    path.write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n")
