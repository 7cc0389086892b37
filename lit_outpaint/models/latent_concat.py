"""The merge of RPG's formula: one U-Net call per region, put together as latents.

    z_cat   = the latents of each region, side by side
    z_{t-1} = base_ratio z_base + (1 - base_ratio) z_cat

All calls start from the same noisy latents, and a scheduler's step is linear in the prediction, so that predictions are
merged here and the scheduler steps once. The paper resizes the latents of a region to its box; that would change the
variance of their noise, so each region's prediction is made on the whole window and its box is cut out, as in the
latent mode of the regional-prompter extension that the authors name.

Source: Yang et al. 2024, arXiv:2401.11708; its released code merges inside attention (`lit_outpaint.models.regional`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_outpaint.models.attention import FullAttention
from lit_outpaint.models.context import Context
from lit_outpaint.models.regions import base_weights, cell_owners


@dataclass(frozen=True)
class LatentConcat:
    """Every position reads every row, of the base and then of one region after the other; the denoiser merges."""

    def install(self, unet: UNet2DConditionModel) -> None:
        """Set the processors of `FullAttention`."""
        FullAttention().install(unet)

    def cross_attention_kwargs(self, context: Context, size: tuple[int, int]) -> dict[str, Any]:
        """Those of `FullAttention` for the base rows."""
        return FullAttention().cross_attention_kwargs(context._replace(regions=None), size)

    def loop_kwargs(self, unet: UNet2DConditionModel, context: Context, size: tuple[int, int]) -> dict[str, Any]:
        """Those of `FullAttention` for the base rows."""
        return FullAttention().loop_kwargs(unet, context._replace(regions=None), size)


class RegionCall(NamedTuple):
    """One region of some samples."""

    samples: Int[Tensor, " k"]
    """Which samples of the batch are predicted; a lone one is there twice (see `reproducible.copies_of_rows`)."""
    context: Context
    """The region's rows of these samples."""
    own: Bool[Tensor, "k 1 h w"]
    """Which positions of each the region owns."""


class RegionCalls(NamedTuple):
    """How a context with regions is predicted and merged; made once for a denoising loop."""

    base: Context
    """The base rows."""
    regions: tuple[RegionCall, ...]
    """One call each."""
    base_weight: Float[Tensor, "b 1 h w"]
    """Weight of the base prediction at each position, 1 where no region is."""
    needs_base: bool
    """Whether any position has a base weight above 0."""


def region_calls(context: Context, size: tuple[int, int]) -> RegionCalls:
    """Lay out the calls that a context with regions takes on latents of ``size``."""
    regions = context.regions
    assert regions is not None
    device = context.hidden_states.device
    plain = context._replace(regions=None)
    owners = cell_owners(regions.boxes, *size)
    weights = base_weights(owners, regions.base_ratio)[:, None]
    calls = []
    for region in range(regions.boxes.shape[1]):
        own = owners == region
        samples = own.flatten(1).any(dim=1).nonzero().flatten()
        if len(samples) == 0:
            continue
        samples = samples.repeat(2) if len(samples) == 1 else samples
        bias = None if regions.key_bias is None else regions.key_bias[samples.to(device), region]
        rows = plain._replace(hidden_states=regions.hidden_states[samples.to(device), region], key_bias=bias)
        calls.append(RegionCall(samples.to(device), rows, own[samples, None].to(device)))
    needs_base = bool((weights > 0).any())
    return RegionCalls(plain, tuple(calls), weights.to(device, torch.float32), needs_base)


def latent_concat(
    predict: Callable[[Tensor | None, Context], Tensor], calls: RegionCalls, noisy_latents: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    """Predict with the base rows and with each region's rows, and merge the predictions.

    Args:
        predict: from the samples to predict (None for all of the batch) and their context to their predictions.
        calls: of `region_calls`.
        noisy_latents: what is denoised; says which shape the result has.
    """
    base = predict(None, calls.base) if calls.needs_base else torch.zeros_like(noisy_latents)
    merged = base.clone()
    for samples, context, own in calls.regions:
        prediction = predict(samples, context)
        merged[samples] = torch.where(own, prediction, merged[samples])
    # torch's lerp is exact at both ends, so that a base ratio of 1 is the base prompt bit for bit.
    return torch.lerp(merged, base, calls.base_weight.to(base.dtype))
