"""Noising and regression targets.

Letters: B batch, T number of timesteps; ``a_bar`` is ``alphas_cumprod``, the share of signal power that is left.
"""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

PredictionType = Literal["epsilon", "v_prediction"]


def add_noise(
    latents: Float[Tensor, "b c h w"],
    noise: Float[Tensor, "b c h w"],
    timesteps: Int[Tensor, " b"],
    alphas_cumprod: Float[Tensor, " t"],
) -> Float[Tensor, "b c h w"]:
    """Mix noise into latents, ``sqrt(a_bar) * latents + sqrt(1 - a_bar) * noise``.

    Args:
        latents: clean latents, scaled.
        noise: unit Gaussian noise.
        timesteps: one step per sample, in ``[0, T)``.
        alphas_cumprod: cumulative signal power a_bar, falling from 1 towards 0.

    Raises:
        ValueError: noise and latents differ in shape (they would broadcast silently).

    Source: Ho et al. 2020, arXiv:2006.11239, equation 4.
    """
    signal, spread = _scales(latents, noise, timesteps, alphas_cumprod)
    return signal * latents + spread * noise


def offset_noise(
    noise: Float[Tensor, "b c h w"], shift: Float[Tensor, "b c 1 1"], strength: float
) -> Float[Tensor, "b c h w"]:
    """Move the noise of each channel as a whole, ``noise + strength * shift``.

    Args:
        noise: unit Gaussian noise.
        shift: the same, one number per sample and channel.
        strength: 0 leaves the noise as it is.

    Source: Guttenberg 2023, "Diffusion with offset noise", crosslabs.org.
    """
    return noise + strength * shift


def velocity(
    latents: Float[Tensor, "b c h w"],
    noise: Float[Tensor, "b c h w"],
    timesteps: Int[Tensor, " b"],
    alphas_cumprod: Float[Tensor, " t"],
) -> Float[Tensor, "b c h w"]:
    """Target of v-prediction, ``sqrt(a_bar) * noise - sqrt(1 - a_bar) * latents``.

    Args:
        latents: clean latents, scaled.
        noise: the unit Gaussian noise mixed into them.
        timesteps: one step per sample, in ``[0, T)``.
        alphas_cumprod: cumulative signal power a_bar, falling from 1 towards 0.

    Raises:
        ValueError: noise and latents differ in shape (they would broadcast silently).

    Source: Salimans & Ho 2022, arXiv:2202.00512, Appendix D.
    """
    signal, spread = _scales(latents, noise, timesteps, alphas_cumprod)
    return signal * noise - spread * latents


def training_target(
    prediction_type: PredictionType,
    latents: Float[Tensor, "b c h w"],
    noise: Float[Tensor, "b c h w"],
    timesteps: Int[Tensor, " b"],
    alphas_cumprod: Float[Tensor, " t"],
) -> Float[Tensor, "b c h w"]:
    """What the U-Net regresses: the noise, or the velocity (arguments as in `velocity`).

    Raises:
        ValueError: ``prediction_type`` is neither.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "v_prediction":
        return velocity(latents, noise, timesteps, alphas_cumprod)
    raise ValueError(f"prediction_type must be epsilon or v_prediction, got {prediction_type!r}")


def _scales(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise scale of each sample, shaped to broadcast over latents."""
    if noise.shape != latents.shape:
        raise ValueError(f"noise must have the shape of latents {tuple(latents.shape)}, got {tuple(noise.shape)}")
    a_bar = alphas_cumprod[timesteps].view(-1, 1, 1, 1).to(latents.dtype)
    return a_bar.sqrt(), (1 - a_bar).sqrt()
