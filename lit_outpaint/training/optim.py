"""Optimiser and learning-rate schedule."""

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lit_outpaint.training.muon import MuonAdamW, is_hidden

ADAPTER = "context.language_adapter."
"""What names of an adapter's weights hold (`lit_outpaint.models.language_context`)."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Optimiser and its learning rate over time; the gradient norm is clipped by ``trainer.gradient_clip_val``."""

    lr: float = 1e-5
    """Peak learning rate."""
    name: Literal["adamw", "adamw_8bit", "muon"] = "adamw"
    """adamw_8bit: AdamW whose two averages take a byte a weight each (package bitsandbytes, GPUs). muon: the U-Net's
    matrices and kernels take orthogonalised steps (`lit_outpaint.training.muon`), the rest AdamW's. It trains small
    networks in a fraction of the steps; large ones are usually fine-tuned with AdamW."""
    schedule: Literal["constant", "cosine"] = "constant"
    """What the learning rate does after the warm-up: stay, or fall to 0 along a half cosine."""
    warmup_steps: int = 0
    """Optimiser steps over which the learning rate grows from 0."""
    total_steps: int | None = None
    """Optimiser steps after which the cosine has fallen to 0; None takes the length of the run."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's two averages."""
    weight_decay: float = 1e-2
    """Of the U-Net's weights; the conditioning's are not decayed."""
    gate_lr: float = 1e-2
    """Learning rate of the gate of the visual rows, a single factor between 0 and about 1. At a tenth of it the gate
    hovers around 0, too nearly closed for what lies behind it to learn."""
    adapter_lr_factor: float = 1.0
    """Factor on the learning rate of an adapter of language features, which starts from nothing while the U-Net was
    trained before."""
    fused: bool = True
    """One kernel for all parameters."""

    def __post_init__(self) -> None:
        if self.name == "adamw_8bit" and importlib.util.find_spec("bitsandbytes") is None:
            raise ValueError(
                "optim.name adamw_8bit needs the package bitsandbytes; install lit-outpaint[bits], or take adamw"
            )
        for name in ("lr", "gate_lr", "adapter_lr_factor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"optim.{name} must be positive, got {getattr(self, name)}")
        if self.warmup_steps < 0:
            raise ValueError(f"optim.warmup_steps must be at least 0, got {self.warmup_steps}")


def build_optimizer(config: OptimConfig, parameters: Mapping[str, Parameter]) -> Optimizer:
    """Make the optimiser with one group each for the U-Net, the conditioning and its gate (and for Muon's share)."""
    hidden: list[Parameter] = []
    unet: list[Parameter] = []
    context: list[Parameter] = []
    gate: list[Parameter] = []
    adapter: list[Parameter] = []
    for name, parameter in parameters.items():
        if name.endswith(".gate"):
            gate.append(parameter)
        elif ADAPTER in name and config.adapter_lr_factor != 1:
            adapter.append(parameter)
        elif not name.startswith("unet."):
            context.append(parameter)
        else:
            (hidden if config.name == "muon" and is_hidden(name, parameter) else unet).append(parameter)
    groups: list[dict[str, Any]] = [
        {"name": "hidden", "params": hidden, "weight_decay": config.weight_decay, "muon": True},
        {"name": "unet", "params": unet, "weight_decay": config.weight_decay},
        {"name": "context", "params": context, "weight_decay": 0.0},
        {"name": "adapter", "params": adapter, "weight_decay": 0.0, "lr": config.adapter_lr_factor * config.lr},
        {"name": "gate", "params": gate, "weight_decay": 0.0, "lr": config.gate_lr},
    ]
    groups = [group for group in groups if group["params"]]
    if config.name == "adamw_8bit":
        from bitsandbytes.optim import AdamW8bit

        eight: Optimizer = AdamW8bit(groups, lr=config.lr, betas=config.betas)
        return eight
    optimizer = MuonAdamW(groups, lr=config.lr, betas=config.betas, fused=config.fused)
    # A fused optimiser would unscale float16 gradients by itself, and Lightning then refuses to clip them, in bfloat16
    # too, where nothing is scaled. Without the mark the gradient scaler unscales first, as for any optimiser.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def build_lr_schedule(config: OptimConfig, optimizer: Optimizer, run_steps: int | float) -> LambdaLR:
    """Make the schedule, stepped once per optimiser step.

    Raises:
        ValueError: cosine without a known end.
    """
    total_steps = config.total_steps or run_steps
    if config.schedule == "cosine" and not math.isfinite(total_steps):
        raise ValueError("optim.schedule cosine needs optim.total_steps when the run has no end of its own")
    return LambdaLR(optimizer, lambda step: lr_factor(step, config.schedule, config.warmup_steps, total_steps))


def lr_factor(step: int, schedule: Literal["constant", "cosine"], warmup_steps: int, total_steps: int | float) -> float:
    """Share of the peak learning rate at a step (counted from 0), in [0, 1].

    >>> [lr_factor(step, "constant", 4, 100) for step in (0, 1, 3, 50)]
    [0.25, 0.5, 1.0, 1.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return (1 + math.cos(math.pi * progress)) / 2
