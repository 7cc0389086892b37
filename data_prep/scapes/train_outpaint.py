"""Train the outpainting model on with masks of every kind: shards, ``fit``, export, in one resumable command.

    python -m data_prep.scapes.train_outpaint --work runs/family --out models/scapes --warm

``fit`` counts steps and this counts minutes: a few steps are timed once, and their number is kept for later calls.
``--warm`` continues with the outpainting model of ``--out``; without it the base of ``--out`` is where it starts.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import torch
from lightning.fabric.utilities import move_data_to_device

from data_prep.__main__ import main as prepare
from data_prep.scapes.command import arguments
from data_prep.scapes.ship_outpaint import ship
from data_prep.scapes.training import autocast
from lit_outpaint.__main__ import main as lit_outpaint
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.system.bfloat16 import computes_bfloat16
from lit_outpaint.system.files import written_whole
from lit_outpaint.training.draws import SampleDraws

RECIPES = ("experiments/scapes.yaml", "experiments/scapes_masks.yaml")
TIMED_STEPS = 3
SURFACE_SHARE = 0.45
"""Share of training windows that lie on the surface; the rest teach growing up and down."""


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=40, lr=1e-3, windows=5000, warm=True, batch_size=48)
    shards, run = args.work / "outpaint_data", args.work / "outpaint"
    device = args.device.type
    checked(prepare(["all", "--source", "scapes", "--out", str(shards), *shard_options(args)]))
    base = ModelConfig(
        pretrained=str(args.out),
        outpaint=started_from(args) if args.warm else None,
        channels_last=True,
        compile=args.compile,
    )
    steps = planned_steps(args, shards, base)
    settings = {
        "name": run.name,
        "runs_dir": str(run.parent),
        "ckpt_path": "last",
        "trainer.accelerator": "gpu" if device == "cuda" else "cpu",
        "trainer.max_steps": steps,
        "trainer.val_check_interval": steps,
        "trainer.log_every_n_steps": min(20, steps),
        "model.base.pretrained": base.pretrained,
        "model.base.outpaint": base.outpaint or "null",
        "model.base.compile": str(base.compile).lower(),
        "model.optim.lr": args.lr,
        "data.shards": str(shards),
        "data.batch_size": args.batch_size,
        "data.num_workers": 8 if device == "cuda" else 0,
        "checkpoint.every_n_train_steps": max(1, min(25, steps // 4)),
        "trainer.precision": "bf16-mixed" if computes_bfloat16(device) else "32-true",
    }
    recipes = [word for recipe in RECIPES for word in ("-c", recipe)]
    checked(lit_outpaint(["fit", *recipes, *(f"--{name}={value}" for name, value in settings.items())]))
    ship(run, args.out)


def shard_options(args: argparse.Namespace) -> list[str]:
    """Options of ``data_prep all``: windows and captions; views are encoded while training."""
    options = {
        "windows": args.windows,
        "val_windows": min(256, args.windows),
        "surface_share": SURFACE_SHARE,
        "panoramas": 0,
        "eval_windows": 0,
        "directions": "[right]",
        "masked_latents": "false",
        "models": str(args.out),
        "bf16": str(computes_bfloat16(args.device.type)).lower(),
        "seed": args.seed,
        "device": args.device.type,
    }
    return [f"--{name}={value}" for name, value in options.items()]


def started_from(args: argparse.Namespace) -> str:
    """A copy of the model that training continues with, for ``--out`` receives another at the end."""
    kept = args.work / "outpaint_start"
    if not kept.exists():
        partial = kept.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(args.out / "outpaint", partial)
        partial.rename(kept)
    return str(kept)


def planned_steps(args: argparse.Namespace, shards: Path, base: ModelConfig) -> int:
    """How many steps fit into the minutes; worked out once."""
    path = args.work / "outpaint_steps.json"
    if not path.exists():
        seconds = step_seconds(base, shards, args.batch_size, args.device)
        plan = {"minutes": args.minutes, "seconds_per_step": seconds, "steps": max(1, int(args.minutes * 60 / seconds))}
        with written_whole(path) as draft:
            draft.write_text(json.dumps(plan) + "\n")
    return int(json.loads(path.read_text())["steps"])


def step_seconds(base: ModelConfig, shards: Path, batch_size: int, device: torch.device) -> float:
    """Seconds of a training step without its optimiser, the first one left out."""
    module = OutpaintModule(base).to(device)
    data = OutpaintDataModule(str(shards), batch_size=batch_size, views="online", directions=["right"], num_workers=0)
    data.setup("fit")
    loaded = next(iter(data.train_dataloader()))
    assert isinstance(loaded, OutpaintBatch)
    batch = move_data_to_device(loaded, device)
    times = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        with autocast(device):
            loss = module.drawn_losses(module.complete(batch), SampleDraws(batch.keys, device)).mean()
        loss.backward()
        loss.item()  # Waits for a GPU.
        times.append(time.perf_counter() - started)
    return min(times[1:])


def checked(status: int) -> None:
    """Stop behind a command that failed; it has said why."""
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main()
