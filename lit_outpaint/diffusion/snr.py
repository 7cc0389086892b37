"""Min-SNR weighting of timesteps."""

import torch
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.diffusion.targets import PredictionType


def min_snr_weights(
    alphas_cumprod: Float[Tensor, " t"], gamma: float | None, prediction_type: PredictionType
) -> Float[Tensor, " t"]:
    """Loss weight of every timestep: ``min(SNR, gamma) / SNR`` for noise, ``min(SNR, gamma) / (SNR + 1)`` for v.

    With zero terminal SNR both stay finite: the weight of the last step is 1 for noise (its limit) and 0 for v. As that
    leaves the pure-noise step of v-prediction untrained, None is the better choice with such a schedule.

    Args:
        alphas_cumprod: cumulative signal power, in ``[0, 1)``.
        gamma: clip of the signal-to-noise ratio, 5 is usual; None weights all timesteps alike.
        prediction_type: what the U-Net regresses.

    Raises:
        ValueError: gamma is not positive.

    Source: Hang et al. 2023, arXiv:2303.09556, section 3.4.
    """
    if gamma is None:
        return torch.ones_like(alphas_cumprod)
    if gamma <= 0:
        raise ValueError(f"snr_gamma must be positive or None, got {gamma}")
    snr = alphas_cumprod / (1 - alphas_cumprod)
    if prediction_type == "v_prediction":
        return snr.clamp(max=gamma) / (snr + 1)
    # gamma / max(SNR, gamma) equals min(SNR, gamma) / SNR and needs no division by a vanishing SNR.
    return gamma / snr.clamp(min=gamma)
