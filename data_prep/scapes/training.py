"""The training loop shared by all tiny models: a time budget, a schedule along it, and resumable checkpoints.

A budget in minutes, not in steps: the models are made on whatever machine is at hand, and the card records both.
"""

import csv
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lit_outpaint.system.bfloat16 import computes_bfloat16
from lit_outpaint.system.freed_memory import keep_freed_memory
from lit_outpaint.training.muon import MuonAdamW, hidden_and_other

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long and how fast a model learns."""

    minutes: float
    """Wall time of the whole training, resumed parts included."""
    lr: float
    """Peak learning rate, of Muon and AdamW alike (Muon's updates are scaled to AdamW's size)."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    schedule: Literal["linear", "cosine"] = "linear"
    """How the learning rate falls to zero: in a line at the end, or along half a cosine over the whole budget."""
    decay_share: float = 0.4
    """Share of the budget at the end over which the linear schedule falls."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    ema_decay: float = 0.998
    """Decay of the exponential moving average that is shipped; 0 ships the last weights."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    checkpoint_minutes: float = 3.0
    """Time between checkpoints."""
    weights_minutes: float | None = None
    """Time between numbered files of the averaged weights, float16, which are kept; None keeps none."""

    def learning_rate(self, step: int, share: float) -> float:
        """Learning rate at a step, ``share`` of the budget being spent."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        if self.schedule == "cosine":
            return self.lr * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
        return self.lr * warm * min(1.0, max(0.0, (1.0 - share) / self.decay_share))


def autocast(device: torch.device) -> torch.autocast:
    """Mixed bfloat16 where the device has units for it, else plain float32, which is faster there."""
    return torch.autocast(device.type, torch.bfloat16, enabled=computes_bfloat16(device.type))


def train(
    model: nn.Module, loss: Callable[[int], dict[str, Tensor]], budget: Budget, state_dir: Path, *, log_every: int = 50
) -> dict[str, float]:
    """Minimise ``loss(step)["loss"]`` over the trainable parameters of ``model`` until the budget is spent.

    Args:
        model: receives the averaged weights at the end.
        loss: computes the losses of one step; draws its batch from the step number, so that a resumed run continues.
        budget: time and rates.
        state_dir: holds ``state.pt`` (weights_only loadable), ``log.csv`` and numbered weights, named by the minute.
        log_every: steps between log lines.

    Returns:
        ``steps`` and ``minutes`` spent in all.
    """
    keep_freed_memory()
    state_dir.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in model.parameters() if p.requires_grad]
    hidden, other = hidden_and_other(model)
    groups: list[dict[str, Any]] = [{"params": hidden, "muon": True}, {"params": other}]
    optimiser = MuonAdamW(groups, budget.lr, betas=(0.9, 0.98), weight_decay=budget.weight_decay)
    averaged = [p.detach().clone() for p in parameters]
    step, spent = _restore(state_dir, model, optimiser, averaged)
    saved = numbered = spent
    for started in _clock(spent, budget.minutes * 60):
        spent = started
        rate = budget.learning_rate(step, spent / (budget.minutes * 60))
        losses = loss(step)
        model.zero_grad(set_to_none=True)
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(parameters, budget.clip_norm)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        decay = min(budget.ema_decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(averaged, [p.detach() for p in parameters], 1 - decay)
        step += 1
        if step % log_every == 0:
            _log(state_dir / "log.csv", step, spent, rate, losses)
        if spent - saved > budget.checkpoint_minutes * 60:
            saved = spent
            _save(state_dir, model, optimiser, averaged, step, spent)
        if budget.weights_minutes is not None and spent - numbered > budget.weights_minutes * 60:
            numbered = spent
            save_averaged(state_dir / f"weights-{round(spent / 60):04d}.safetensors", model, averaged)
    _save(state_dir, model, optimiser, averaged, step, spent)
    with torch.no_grad():
        for parameter, average in zip(parameters, averaged, strict=True):
            parameter.copy_(average)
    return {"steps": step, "minutes": spent / 60}


def save_averaged(path: Path, model: nn.Module, averaged: list[Tensor]) -> None:
    """Write the model's weights in float16, the trained ones averaged: a file as the model's folder holds it."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    weights = {**model.state_dict(), **dict(zip(names, averaged, strict=True))}
    partial = path.with_suffix(".partial")
    save_file({name: value.half().contiguous() for name, value in weights.items()}, partial, {"format": "pt"})
    partial.rename(path)


def _clock(spent: float, budget_s: float) -> Iterator[float]:
    """Seconds spent so far, until the budget is used up."""
    started = time.monotonic() - spent
    while (now := time.monotonic() - started) < budget_s:
        yield now


def _log(path: Path, step: int, spent: float, rate: float, losses: dict[str, Tensor]) -> None:
    row = {
        "step": step,
        "seconds": round(spent, 1),
        "lr": rate,
        **{k: round(float(v.detach()), 5) for k, v in losses.items()},
    }
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    logger.info("%s", " ".join(f"{k}={v:.4g}" for k, v in row.items()))


def _save(
    state_dir: Path, model: nn.Module, optimiser: MuonAdamW, averaged: list[Tensor], step: int, spent: float
) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "averaged": averaged}
    torch.save({**state, "step": step, "spent": spent}, state_dir / "state.partial")
    (state_dir / "state.partial").rename(state_dir / "state.pt")


def _restore(state_dir: Path, model: nn.Module, optimiser: MuonAdamW, averaged: list[Tensor]) -> tuple[int, float]:
    if not (state_dir / "state.pt").exists():
        return 0, 0.0
    state = torch.load(state_dir / "state.pt", weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    for mine, theirs in zip(averaged, state["averaged"], strict=True):
        mine.copy_(theirs)
    return state["step"], state["spent"]
