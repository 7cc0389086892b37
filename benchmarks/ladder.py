"""The training step rung by rung: what each setting gains, in images a second, MFU and memory.

    python -m benchmarks.ladder --size sd15 --batch_size 16        # one GPU
    python -m benchmarks.ladder --size scapes                      # a CPU, to see that it runs

Each rung keeps the settings of those before it and adds one. The whole step is timed: precomputed features to the
device, context rows, U-Net, loss, clipping, optimiser, moving average, Lightning. MFU is the share of a measured
ceiling, a large matrix product in the precision of the best rung, that goes into the U-Net; it counts three forward
passes a step. Weights and features are random; ``sd15`` has the sizes of Stable Diffusion 1.5 with 64 x 64 latents and
ViT-B/32 visual features.
"""

import argparse
import gc
import logging
import statistics
import tempfile
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from lightning.pytorch import Callback
from torch.utils.data import DataLoader
from transformers import CLIPTextConfig, CLIPVisionConfig

from benchmarks.commands import at_least, refusing
from benchmarks.timing import synchronise, timed, write_report
from benchmarks.train_step import EMA_DECAY, LR, quiet_trainer, random_batch
from lit_outpaint.callbacks.throughput import forward_flops, peak_memory_gib
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.testing.models import SD15_UNET
from lit_outpaint.training.ema import EmaConfig
from lit_outpaint.training.optim import OptimConfig


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One setting more than the rung before."""

    name: str
    precision: str = "bf16-mixed"
    tf32: bool = True
    model: dict[str, Any] = field(default_factory=dict)
    optim: dict[str, Any] = field(default_factory=dict)


RUNGS = (
    Rung(name="float32", precision="32-true", tf32=False, optim={"fused": False}),
    Rung(name="+ TF32", precision="32-true", optim={"fused": False}),
    Rung(name="+ bfloat16", optim={"fused": False}),
    Rung(name="+ channels_last", model={"channels_last": True}, optim={"fused": False}),
    Rung(name="+ fused AdamW", model={"channels_last": True}),
    Rung(name="+ compile", model={"channels_last": True, "compile": True}),
)


@refusing
def main() -> None:
    """Climb the ladder and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=("sd15", "scapes"), default="sd15", help="sizes of U-Net and features")
    parser.add_argument("--batch_size", type=at_least(1), default=16, help="windows per step")
    parser.add_argument("--rounds", type=at_least(1), default=20, help="timed steps of each rung")
    parser.add_argument("--warmup", type=at_least(0), default=5, help="untimed steps before them")
    rungs = range(len(RUNGS))
    parser.add_argument("--rungs", type=int, nargs="+", choices=rungs, default=[*rungs], help="numbers of the rungs")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ceiling = matmul_tflops(device)
    rows: dict[str, dict[str, Any]] = {"ceiling": {"bfloat16_matmul_tflops": round(ceiling, 2)}}
    with tempfile.TemporaryDirectory() as place:
        pretrained = "models/scapes" if args.size == "scapes" else str(save_family(Path(place), SD15_UNET))
        for number in args.rungs:
            rows[RUNGS[number].name] = climb(RUNGS[number], pretrained, args, ceiling)
            gc.collect()
            torch.cuda.empty_cache()
    write_report("ladder", vars(args), rows, whole=set(args.rungs) == set(rungs))


def climb(rung: Rung, pretrained: str, args: argparse.Namespace, ceiling_tflops: float) -> dict[str, float]:
    """Train a few steps as a rung says."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high" if rung.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = rung.tf32
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    batches = [random_batch(pretrained, args.batch_size) for _ in range(2)]
    module = OutpaintModule(
        ModelConfig(pretrained=pretrained, **rung.model),
        optim=OptimConfig(lr=LR, **rung.optim),
        ema=EmaConfig(decay=EMA_DECAY),
    )
    clock = _Clock()
    num_steps = args.warmup + args.rounds
    with tempfile.TemporaryDirectory() as root:
        trainer = quiet_trainer(rung.precision, num_steps, clock, root)
        loader: DataLoader = DataLoader(batches * num_steps, batch_size=None, pin_memory=torch.cuda.is_available())  # type: ignore[arg-type]
        trainer.fit(module, loader)
    seconds = statistics.median(clock.seconds()[args.warmup :])
    images_per_s = args.batch_size / seconds
    side, rows = batches[0].moments.shape[-1], module.context.rows
    tflops = 3e-12 * forward_flops(dict(module.unet.config), side, rows) * images_per_s
    return {
        "images_per_s": round(images_per_s, 2),
        "step_ms": round(1e3 * seconds, 1),
        "mfu": round(tflops / ceiling_tflops, 3),
        "peak_memory_gib": round(peak_memory_gib(), 2),
    }


class _Clock(Callback):
    """Notes when each step is really over."""

    def __init__(self) -> None:
        self._marks: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        synchronise()
        self._marks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Of each step after the first."""
        return [after - before for before, after in zip(self._marks, self._marks[1:], strict=False)]


def matmul_tflops(device: torch.device) -> float:
    """What the device reaches in a large bfloat16 matrix product, in units of 1e12 operations a second."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.matmul(left, right)
    seconds = statistics.median(timed(lambda: torch.matmul(left, right)) for _ in range(20))
    return 2e-12 * side**3 / seconds


def save_family(directory: Path, unet: dict[str, Any]) -> Path:
    """Save what training reads of a family of random weights: the U-Net, and the configurations of the other parts."""
    with torch.device("cuda") if torch.cuda.is_available() else nullcontext():
        UNet2DConditionModel(**unet).save_pretrained(directory / "unet")
    width = unet["cross_attention_dim"]
    CLIPTextConfig(hidden_size=width, max_position_embeddings=77).save_pretrained(directory / "text_encoder")
    CLIPVisionConfig(hidden_size=768, image_size=224, patch_size=32).save_pretrained(directory / "image_encoder")
    with torch.device("meta"):
        AutoencoderKL(scaling_factor=0.18215).save_config(directory / "vae")
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    DDIMScheduler(**schedule, clip_sample=False, set_alpha_to_one=False).save_pretrained(directory / "scheduler")
    return directory


if __name__ == "__main__":
    main()
