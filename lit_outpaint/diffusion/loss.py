"""Squared error over the region that counts."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

LossRegion = Literal["full", "masked", "weighted"]


def region_weights(
    mask: Float[Tensor, "b 1 mh mw"], region: LossRegion, known_weight: float, size: tuple[int, int]
) -> Float[Tensor, "b 1 h w"]:
    """Weight of each latent cell.

    Args:
        mask: 1 = generate, 0 = keep; at pixel size.
        region: full weights all cells 1; masked the cells to generate 1, the known 0; weighted the known
            ``known_weight``.
        known_weight: weight of known cells (weighted only), at least 0.
        size: height and width of the latents.

    Raises:
        ValueError: ``region`` is none of the three.
    """
    generate = interpolate(mask, size=size, mode="nearest")
    if region == "full":
        return torch.ones_like(generate)
    if region == "masked":
        return generate
    if region == "weighted":
        return generate + known_weight * (1 - generate)
    raise ValueError(f"loss region must be full, masked or weighted, got {region!r}")


def weighted_mse(
    model_pred: Float[Tensor, "b c h w"],
    target: Float[Tensor, "b c h w"],
    cell_weights: Float[Tensor, "b 1 h w"],
    sample_weights: Float[Tensor, " b"],
) -> Float[Tensor, " b"]:
    """Squared error of each sample, averaged over its weighted cells, times the sample's weight.

    Dividing by the sum of a sample's cell weights keeps the loss comparable between mask ratios and regions.

    Args:
        model_pred: output of the U-Net; computed with in float32.
        target: its regression target.
        cell_weights: from `region_weights`; every sample must have a positive sum.
        sample_weights: from `min_snr_weights`, picked by timestep.
    """
    squared = (model_pred.float() - target.float()).square().mean(dim=1, keepdim=True)
    per_sample = (squared * cell_weights).sum(dim=(1, 2, 3)) / cell_weights.sum(dim=(1, 2, 3))
    return per_sample * sample_weights
