"""How much memory of a device a training run takes, from the model's configuration alone: no weights, no GPU.

What autograd keeps for the backward pass is counted in a forward pass on meta tensors, which have shapes and no
values, with the casts that autocast makes on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from lit_outpaint.models.lora import LoraSettings
from lit_outpaint.models.unet import Train, mark_trained

GIB: Final = 2**30
FLOAT32_BYTES: Final = 4
HALF_BYTES: Final = 2


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """What decides how much memory a run takes."""

    unet: Mapping[str, Any]
    """Configuration of the diffusers U-Net, as it is trained."""
    rows: int
    """Length of the context."""
    batch_size: int
    """Windows per device and step."""
    mixed: bool
    """Compute in bfloat16 under autocast."""
    averaged: bool
    """Keep a moving average of the weights."""
    train: Train = "all"
    """Which weights of the U-Net are trained."""
    lora: LoraSettings = LoraSettings()
    """Adapters of ``train: lora``."""
    extended: bool = False
    """The first convolution gets new channels."""
    gradient_checkpointing: bool = False
    """Compute activations twice."""
    ranks: int = 1
    """Devices in all."""
    sharded: bool = False
    """Spread weights, gradients, optimiser and average over them (FSDP2)."""
    bucket_copy: bool = False
    """Gradients lie a second time in the buckets that DDP sends."""


def estimate(plan: MemoryPlan) -> dict[str, float]:
    """GiB of one device by what takes them, in float32 with AdamW."""
    unet = _meta_unet(plan)
    total = sum(parameter.numel() for parameter in unet.parameters())
    trained = sum(parameter.numel() for parameter in unet.parameters() if parameter.requires_grad)
    share = plan.ranks if plan.sharded else 1
    largest = max(
        sum(parameter.numel() for parameter in block.parameters())
        for block in [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    )
    # Sharded weights are gathered a block at a time, two with the one that is fetched ahead.
    at_once = 2 * largest if plan.sharded else total
    sent = HALF_BYTES if plan.mixed else FLOAT32_BYTES
    return {
        "weights": FLOAT32_BYTES * total / share / GIB,
        "gradients": FLOAT32_BYTES * trained / share / GIB,
        "optimiser": 2 * FLOAT32_BYTES * trained / share / GIB,
        "moving average": FLOAT32_BYTES * trained / share / GIB if plan.averaged else 0.0,
        "weights to compute with": sent * at_once / GIB if plan.mixed or plan.sharded else 0.0,
        "buckets of DDP": FLOAT32_BYTES * trained / GIB if plan.bucket_copy else 0.0,
        "activations": plan.batch_size * saved_bytes(unet, plan) / GIB,
    }


def saved_bytes(unet: UNet2DConditionModel, plan: MemoryPlan) -> int:
    """Bytes that autograd keeps of a forward pass over one window.

    Args:
        unet: on meta tensors, prepared by `estimate`.
        plan: the run.
    """
    weights = {parameter.untyped_storage()._cdata for parameter in unet.parameters()}
    kept: dict[int, Tensor] = {}  # By storage; the tensors stay alive, so that no storage is named twice.

    def keep(tensor: Tensor) -> Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in weights:
            kept[key] = tensor
        return tensor

    side, width = unet.config.sample_size, unet.config.cross_attention_dim
    latents = torch.empty(1, unet.config.in_channels, side, side, device="meta")
    context = torch.empty(1, plan.rows, width, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        unet(latents, torch.zeros(1, device="meta"), context)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def told(plan: MemoryPlan) -> str:
    """The estimate as lines of text."""
    parts = {name: gib for name, gib in estimate(plan).items() if gib}
    lines = [f"{name:<24} {gib:6.2f} GiB" for name, gib in parts.items()]
    return "\n".join(
        [
            f"estimate for one of {plan.ranks} devices, {plan.batch_size} windows a step:",
            *lines,
            f"{'in all':<24} {sum(parts.values()):6.2f} GiB, besides what the device's libraries take (about 1 GiB),"
            " encoders where features are made online, and fragments",
        ]
    )


def _meta_unet(plan: MemoryPlan) -> UNet2DConditionModel:
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(dict(plan.unet))
        mark_trained(unet, plan.train, plan.lora, extended=plan.extended)
    unet.set_attn_processor(_FusedAttention())
    unet.train()
    if plan.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    if plan.mixed:
        for module in unet.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.to(torch.bfloat16)
                module.register_forward_pre_hook(_cast(torch.bfloat16))
            elif isinstance(module, nn.GroupNorm | nn.LayerNorm):
                module.register_forward_pre_hook(_cast(torch.float32))
    return unet


def _cast(dtype: torch.dtype) -> Any:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.to(dtype) for tensor in inputs)

    return hook


class _FusedAttention:
    """An attention processor that keeps what the fused kernels keep: no matrix of weights."""

    def __call__(self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any) -> Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        out = _Fused.apply(attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source), attn.heads)
        for layer in attn.to_out:
            out = layer(out)
        return out


class _Fused(torch.autograd.Function):
    """The shapes of fused attention: queries, keys, values, result and a number per row are kept."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
        result = torch.empty_like(query)
        sums = query.new_empty(query.shape[0], heads, query.shape[1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, result, sums)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise NotImplementedError("memory is estimated from the forward pass alone")
