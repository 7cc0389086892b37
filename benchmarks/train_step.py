"""A training step: ours under the Trainer against a plain diffusers loop, batch by batch in turns.

    python -m benchmarks.train_step

Both train the same 9-channel U-Net on the same batches of precomputed features at the same precision: draw latents
from moments, add noise, predict, regress, clip, AdamW, learning-rate schedule, moving average. The plain side is the
loop of diffusers' ``train_text_to_image`` example (Apache-2.0), with the two linear maps that make the paper's context
rows trained beside the stock U-Net. Ours does more: the rows have a learned gate, conditions are dropped, the loss is
weighted by region, and there are the Trainer and its hooks. Its time runs from one batch's end to the next, so nothing
of that is left out. Reading data from disk is in neither. With ``--compile`` further rows compile the plain U-Net too.
"""

import argparse
import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from benchmarks.commands import at_least, refusing
from benchmarks.timing import CLOCKS, summarise, synchronise, timed, write_report
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import Features
from lit_outpaint.models.encoders import family_dims, family_scaling_factor
from lit_outpaint.models.unet import ModelConfig, extend_conv_in
from lit_outpaint.module import OutpaintModule
from lit_outpaint.training.ema import EmaConfig
from lit_outpaint.training.optim import OptimConfig

LR = 1e-4
CLIP = 1.0
EMA_DECAY = 0.999
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@refusing
def main() -> None:
    """Time both sides at each precision and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained", default="models/scapes", help="model family whose U-Net is trained")
    parser.add_argument("--batch_size", type=at_least(1), default=32, help="windows per step")
    parser.add_argument("--rounds", type=at_least(1), default=20, help="timed steps of each side")
    parser.add_argument("--warmup", type=at_least(0), default=3, help="untimed steps before them")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time that passes, or CPU time of all threads")
    parser.add_argument("--compile", action="store_true", help="compile our U-Net, and then the plain one too")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    rows = {}
    for name, precision in PRECISIONS.items():
        for suffix in (", compiled", ", both compiled") if args.compile else ("",):
            rows[f"step, {name}{suffix}"] = compare(args, precision, compile_plain=suffix == ", both compiled")
    write_report("train_step_compiled" if args.compile else "train_step", vars(args), rows)


def compare(args: argparse.Namespace, precision: str, compile_plain: bool = False) -> dict[str, float | int]:
    """Time steps of both sides in turns at one precision."""
    pretrained, rounds, warmup = args.pretrained, args.rounds, args.warmup
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches = [random_batch(pretrained, args.batch_size) for _ in range(4)]
    plain_step = plain_loop(pretrained, batches, device, autocast=precision == "bf16-mixed", compiled=compile_plain)
    turns = TakeTurns(plain_step, warmup, args.clock)
    # As the experiments are set: channels_last goes with bfloat16.
    model = ModelConfig(pretrained=pretrained, channels_last=precision == "bf16-mixed", compile=args.compile)
    module = OutpaintModule(model, optim=OptimConfig(lr=LR), ema=EmaConfig(decay=EMA_DECAY))
    loader: DataLoader = DataLoader(batches * (rounds + warmup), batch_size=None)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as root:
        trainer = quiet_trainer(precision, rounds + warmup + 1, turns, root)
        trainer.fit(module, loader)
    return summarise(turns.ours, turns.plain)


def quiet_trainer(precision: str, max_steps: int, callback: Callback, root: str) -> Trainer:
    """A Trainer of one device that clips gradients, and writes and prints nothing."""
    return Trainer(
        accelerator="auto",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        gradient_clip_val=CLIP,
        max_steps=max_steps,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=root,
    )


class TakeTurns(Callback):
    """After each batch of ours, runs and times one plain step."""

    def __init__(self, plain_step: Callable[[], object], warmup: int, clock: str) -> None:
        self.plain_step, self.warmup, self.clock = plain_step, warmup, clock
        self.ours: list[float] = []
        self.plain: list[float] = []
        self._since: float | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note our time since the last plain step, then take the plain turn."""
        synchronise()
        now = CLOCKS[self.clock]()
        plain = timed(self.plain_step, self.clock)
        if self._since is not None and batch_idx > self.warmup:
            self.ours.append(now - self._since)
            self.plain.append(plain)
        self._since = CLOCKS[self.clock]()


def plain_loop(
    pretrained: str, batches: list[OutpaintBatch], device: torch.device, *, autocast: bool, compiled: bool
) -> Callable[[], object]:
    """The body of diffusers' training loop as a function of no arguments, one step a call."""
    unet = UNet2DConditionModel.from_pretrained(pretrained, subfolder="unet", dtype=torch.float32)
    unet = extend_conv_in(unet).to(device).train()
    if compiled:
        unet.compile()
    dims = family_dims(pretrained, None)
    text_rows, visual_rows = dims.text_length, dims.visual_length
    fuse, match = nn.Linear(2 * text_rows, text_rows).to(device), nn.Linear(visual_rows, text_rows).to(device)
    trained = [*unet.parameters(), *fuse.parameters(), *match.parameters()]
    scheduler = DDPMScheduler.from_pretrained(pretrained, subfolder="scheduler")
    scaling_factor = family_scaling_factor(pretrained)
    optimizer = torch.optim.AdamW(trained, lr=LR)
    lr_scheduler = get_scheduler("constant_with_warmup", optimizer, num_warmup_steps=10)
    ema = EMAModel(trained, decay=EMA_DECAY)
    ema.to(device)
    position = 0

    def step() -> None:
        nonlocal position
        batch = batches[position % len(batches)]
        position += 1
        latents = DiagonalGaussianDistribution(batch.moments.to(device)).sample() * scaling_factor
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (len(latents),), device=device).long()
        noisy_latents = scheduler.add_noise(latents, noise, timesteps)
        is_velocity = scheduler.config.prediction_type == "v_prediction"
        target = scheduler.get_velocity(latents, noise, timesteps) if is_velocity else noise
        assert batch.masked_image_latents is not None
        features = batch.features
        assert features.text_global is not None
        assert features.text_local is not None
        assert features.visual is not None
        mask = functional.interpolate(batch.mask.to(device), size=latents.shape[-2:])
        model_input = torch.cat([noisy_latents, mask, batch.masked_image_latents.to(device)], dim=1)
        captions = torch.cat([features.text_global, features.text_local], dim=1).to(device)
        visual_features = features.visual.to(device)
        context = torch.autocast(device.type, torch.bfloat16) if autocast else contextlib.nullcontext()
        with context:
            rows = [fuse(captions.transpose(1, 2)), match(visual_features.transpose(1, 2))]
            encoder_hidden_states = torch.cat(rows, dim=2).transpose(1, 2)
            model_pred = unet(model_input, timesteps, encoder_hidden_states, return_dict=False)[0]
        loss = functional.mse_loss(model_pred.float(), target.float(), reduction="mean")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        ema.step(trained)
        loss.item()  # the example gathers the loss of each step for its log

    return step


def random_batch(pretrained: str, batch_size: int) -> OutpaintBatch:
    """Features of the family's sizes; what they hold does not matter for speed."""
    unet = UNet2DConditionModel.load_config(pretrained, subfolder="unet")
    dims, side = family_dims(pretrained, None), int(unet["sample_size"])
    mask = torch.zeros(batch_size, 1, 8 * side, 8 * side)
    mask[..., 4 * side :] = 1
    text = (batch_size, dims.text_length, dims.text_dim)
    visual, empty = torch.randn(batch_size, dims.visual_length, dims.visual_dim), torch.randn(text[1:])
    return OutpaintBatch(
        keys=tuple(str(i) for i in range(batch_size)),
        directions=("right",) * batch_size,
        mask=mask,
        moments=torch.randn(batch_size, 8, side, side),
        features=Features(text_local=torch.randn(text), text_global=torch.randn(text), visual=visual),
        empty=Features(text_local=empty, text_global=empty),
        masked_image_latents=torch.randn(batch_size, 4, side, side),
    )


if __name__ == "__main__":
    main()
