"""Exponential moving average of the trained parameters.

Lightning's ``EMAWeightAveraging`` copies the whole LightningModule and cannot follow sharded ones; this one keeps one
tensor per trained parameter, of that parameter's own kind, and nothing of what is frozen. Of sharded parameters each
rank averages what it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from lit_outpaint.training.sharding import local, placed


@dataclass(frozen=True, kw_only=True)
class EmaConfig:
    """How slowly the averaged weights follow the trained ones."""

    decay: float | None = 0.999
    """Share of the average that is kept per optimiser step; None keeps no average."""
    warmup: bool = True
    """Start with a smaller decay, ``(1 + step) / (10 + step)``, so that short runs do not average in the start."""

    def __post_init__(self) -> None:
        if self.decay is not None and not 0 <= self.decay < 1:
            raise ValueError(f"ema.decay must lie in [0, 1) or be null, got {self.decay}")


class Ema:
    """The average, by parameter name; it follows the parameters to their device."""

    def __init__(self, config: EmaConfig, parameters: Mapping[str, Parameter]) -> None:
        self.config = config
        self.step = 0
        self.averages = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: Mapping[str, Parameter], step: int) -> None:
        """Move the average towards the parameters after optimiser step ``step`` (counted from 1)."""
        decay = ema_decay(self.config.decay or 0.0, step, self.config.warmup)
        averages, current = self._pairs(parameters)
        torch._foreach_lerp_(averages, current, 1 - decay)
        self.step = step

    @torch.no_grad()
    def swap(self, parameters: Mapping[str, Parameter]) -> None:
        """Exchange the values of the average and of the parameters."""
        averages, current = self._pairs(parameters)
        before = [parameter.clone() for parameter in current]
        torch._foreach_copy_(current, averages)
        torch._foreach_copy_(averages, before)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers alone, so that checkpoints load with ``weights_only=True``."""
        return {"step": self.step, "averages": self.averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a saved average.

        Raises:
            ValueError: it belongs to other parameters.
        """
        if state["averages"].keys() != self.averages.keys():
            raise ValueError(
                "the checkpoint's moving average is of other parameters; it was trained with another model"
            )
        self.step = state["step"]
        self.averages = {
            name: placed(average, self.averages[name]).clone() for name, average in state["averages"].items()
        }

    def reset(self, parameters: Mapping[str, Parameter], step: int) -> None:
        """Start over from the parameters as they are."""
        self.averages = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        self.step = step

    def _pairs(self, parameters: Mapping[str, Parameter]) -> tuple[list[Tensor], list[Tensor]]:
        """Averages and parameters in one order, on one device."""
        for name, parameter in parameters.items():
            self.averages[name] = self.averages[name].to(parameter.device)
        averages = [local(self.averages[name]) for name in parameters]
        return averages, [local(parameter.data) for parameter in parameters.values()]


def ema_decay(decay: float, step: int, warmup: bool) -> float:
    """Decay at an optimiser step, which grows towards ``decay`` during warm-up."""
    return min(decay, (1 + step) / (10 + step)) if warmup else decay
