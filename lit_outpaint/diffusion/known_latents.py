"""Feathered latent blending: the known side of a window held in place while the new side is denoised.

The U-Net sees the known side only through the masked-image latents, and its own idea of that side may drift away from
it. Blending puts latents of the known pixels, noised to the current level, in its place (RePaint, Lugmayr et al. 2022,
arXiv:2201.09865, without its resampling), with a feather towards the new side.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d


class KnownSide(NamedTuple):
    """What is held in place."""

    latents: Float[Tensor, "b c h w"]
    """Clean latents of the known pixels, scaled; whatever stands where nothing is known has weight 0."""
    weights: Float[Tensor, "b 1 h w"]
    """How much of them is put into each cell, as `keep_weights` says."""


def keep_weights(mask: Float[Tensor, "b 1 h w"], feather_cells: int) -> Float[Tensor, "b 1 h w"]:
    """How much of the known latents is put into each cell.

    Args:
        mask: 1 = generate, 0 = keep, one value per latent cell.
        feather_cells: at least 1. The known cell next to the new side has weight ``1 / feather_cells``, the next one
            twice that, up to 1; new cells have 0. With 1 there is no feather.

    Raises:
        ValueError: feather_cells is less than 1.
    """
    if feather_cells < 1:
        raise ValueError(f"feather_cells must be at least 1, got {feather_cells}")
    grown = [max_pool2d(mask, 2 * cells + 1, stride=1, padding=cells) for cells in range(feather_cells)]
    return 1 - torch.stack(grown).mean(dim=0)


def blend_known(
    noisy_latents: Float[Tensor, "b c h w"],
    timestep: Tensor,
    known: KnownSide,
    noise: Float[Tensor, "b c h w"],
    scheduler: Any,
) -> Float[Tensor, "b c h w"]:
    """Put the known latents, noised to ``timestep``, into latents that stand at it.

    Args:
        noisy_latents: as the U-Net reads them, after the scheduler's ``scale_model_input``.
        timestep: where the walk stands, on the CPU.
        known: what is held in place.
        noise: the noise that the walk began with, so that both parts lie on one path.
        scheduler: a diffusers scheduler whose steps are set.
    """
    dtype = noisy_latents.dtype
    # What a latent of 1 and a noise of 1 come to at this level, found on the CPU: no GPU is waited for.
    signal, amount = scheduler.add_noise(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), timestep.expand(2))
    at_level = scheduler.scale_model_input(signal * known.latents.to(dtype) + amount * noise, timestep)
    return torch.lerp(noisy_latents, at_level, known.weights.to(dtype))
