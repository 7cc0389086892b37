import importlib.util
import math

import pytest
import torch
from torch.nn import Parameter

from lit_outpaint.training.optim import OptimConfig, build_lr_schedule, build_optimizer, lr_factor

NAMES = ("unet.conv.weight", "context.text_fusion.weight", "context.gate")


def _parameters() -> dict[str, Parameter]:
    return {name: Parameter(torch.ones(2)) for name in NAMES}


def test_each_part_has_its_own_group() -> None:
    optimizer = build_optimizer(OptimConfig(lr=1e-4, weight_decay=0.1, gate_lr=0.05), _parameters())
    groups = {group["name"]: group for group in optimizer.param_groups}
    assert {name: (group["lr"], group["weight_decay"]) for name, group in groups.items()} == {
        "unet": (1e-4, 0.1),
        "context": (1e-4, 0.0),
        "gate": (0.05, 0.0),
    }


def test_muon_serves_the_kernels_of_the_unet_alone() -> None:
    shapes = {"unet.conv.weight": (8, 8, 3, 3), "unet.conv.bias": (8,), "context.text_fusion.weight": (16, 32)}
    parameters = {name: Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    optimizer = build_optimizer(OptimConfig(name="muon"), parameters)
    served = {group["name"]: group["muon"] for group in optimizer.param_groups}
    assert served == {"hidden": True, "unet": False, "context": False}
    assert [p.shape for p in optimizer.param_groups[0]["params"]] == [(8, 8, 3, 3)]


def test_warmup_grows_to_the_peak_and_cosine_falls_to_zero() -> None:
    factors = [lr_factor(step, "cosine", 10, 110) for step in range(120)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[10] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[110:] == pytest.approx([0.0] * 10)


def test_the_schedule_moves_every_group() -> None:
    config = OptimConfig(lr=1.0, gate_lr=0.5, warmup_steps=4)
    optimizer = build_optimizer(config, _parameters())
    schedule = build_lr_schedule(config, optimizer, run_steps=100)
    assert schedule.get_last_lr() == [0.25, 0.25, 0.125]


def test_cosine_without_an_end_is_refused() -> None:
    config = OptimConfig(schedule="cosine")
    with pytest.raises(ValueError, match=r"needs optim\.total_steps"):
        build_lr_schedule(config, build_optimizer(config, _parameters()), math.inf)


def test_a_learning_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optim\.lr must be positive"):
        OptimConfig(lr=0.0)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="says what happens without it")
def test_eight_bits_without_the_package_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"lit-outpaint\[bits\]"):
        OptimConfig(name="adamw_8bit")
