"""The denoising loop around a diffusers scheduler."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def denoise(
    predict: Callable[[Tensor, Tensor], Tensor],
    noise: Float[Tensor, "b c h w"],
    scheduler: Any,
    num_inference_steps: int,
    generator: Sequence[torch.Generator] | None = None,
) -> Float[Tensor, "b c h w"]:
    """Walk from noise to latents.

    Args:
        predict: from noisy latents and one timestep to the (guided) model prediction.
        noise: unit Gaussian noise.
        scheduler: a diffusers scheduler; its steps are set here.
        num_inference_steps: steps of the walk.
        generator: one per sample, for schedulers that draw noise at every step.

    Returns:
        Scaled latents.
    """
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    latents = noise * scheduler.init_noise_sigma
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    drawing = {"generator": list(generator)} if takes_generator and generator is not None else {}
    for timestep in scheduler.timesteps:
        model_pred = predict(scheduler.scale_model_input(latents, timestep), timestep)
        latents = scheduler.step(model_pred.to(latents.dtype), timestep, latents, **drawing, return_dict=False)[0]
    return torch.as_tensor(latents)
