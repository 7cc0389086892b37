"""The estimate of memory against counts that are known, and what it must do when a setting changes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_outpaint.models.memory import FLOAT32_BYTES, GIB, MemoryPlan, estimate
from lit_outpaint.testing.models import SD15_UNET, TOY_DIM, toy_unet

TOY = MemoryPlan(
    unet=dict(toy_unet(in_channels=9).config), rows=154, batch_size=1, mixed=False, averaged=True
)


def test_states_of_a_run_are_those_of_adamw_with_an_average() -> None:
    parameters = sum(parameter.numel() for parameter in toy_unet(in_channels=9).parameters())
    found = estimate(TOY)
    states = sum(found[name] for name in ("weights", "gradients", "optimiser", "moving average"))
    assert states * GIB == pytest.approx(5 * FLOAT32_BYTES * parameters)


def test_activations_are_what_a_real_pass_keeps() -> None:
    unet = toy_unet(in_channels=9).train()
    weights = {parameter.untyped_storage()._cdata for parameter in unet.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        unet(torch.randn(1, 9, 8, 8), torch.zeros(1), torch.randn(1, 154, TOY_DIM))
    real = sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in weights)
    assert estimate(TOY)["activations"] * GIB == pytest.approx(real, rel=0.1)


@pytest.mark.parametrize(
    ("name", "change", "factor"),
    [
        ("activations", {"batch_size": 4}, 4.0),
        ("gradients", {"sharded": True, "ranks": 4}, 0.25),
        ("moving average", {"averaged": False}, 0.0),
        ("optimiser", {"train": "none"}, 0.0),
    ],
)
def test_what_changes_with_a_setting(name: str, change: dict[str, Any], factor: float) -> None:
    assert estimate(replace(TOY, **change))[name] == pytest.approx(factor * estimate(TOY)[name])


@pytest.mark.parametrize("change", [{"mixed": True}, {"gradient_checkpointing": True}])
def test_what_saves_activations(change: dict[str, Any]) -> None:
    assert estimate(replace(TOY, **change))["activations"] < 0.9 * estimate(TOY)["activations"]


@pytest.mark.slow
def test_stable_diffusion_takes_what_coco_yaml_says() -> None:
    plan = MemoryPlan(unet={**SD15_UNET, "in_channels": 9}, rows=154, batch_size=16, mixed=True, averaged=True, ranks=4)
    assert sum(estimate(plan).values()) == pytest.approx(36.3, abs=0.05)
    assert sum(estimate(replace(plan, batch_size=12)).values()) == pytest.approx(31.6, abs=0.05)
