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
    generator: Sequence[torch.Generator] | torch.Generator | None = None,
    hold: Callable[[Tensor, Tensor], Tensor] | None = None,
    after_step: Callable[[int, Tensor, Tensor], Tensor] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Float[Tensor, "b c h w"]:
    """Walk from noise to latents, without waiting for the device between steps.

    Args:
        predict: from noisy latents and one timestep to the (guided) model prediction.
        noise: unit Gaussian noise.
        scheduler: a diffusers scheduler; its steps are set here.
        num_inference_steps: steps of the walk.
        generator: one per sample, or one for all, for schedulers that draw noise at every step.
        hold: from noisy latents, as the model is to read them, and the scheduler's own timestep, on the CPU, to the
            latents that it reads instead.
        after_step: from the number of a step, its timestep and the latents after it, to the latents of the next step.
        should_stop: asked before each step; the latents are returned as they are then.

    Returns:
        Scaled latents.
    """
    # Kept on the CPU: schedulers look numbers up by their timesteps, and would wait for a GPU at every one.
    scheduler.set_timesteps(num_inference_steps, device="cpu")
    timesteps = scheduler.timesteps.to(noise.device)
    latents = noise * scheduler.init_noise_sigma
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    given = list(generator) if isinstance(generator, Sequence) else generator
    drawing = {"generator": given} if takes_generator and given is not None else {}
    for step, (timestep, own_timestep) in enumerate(zip(timesteps, scheduler.timesteps, strict=True)):
        if should_stop():
            break
        model_input = scheduler.scale_model_input(latents, own_timestep)
        if hold is not None:
            model_input = hold(model_input, own_timestep)
        model_pred = predict(model_input, timestep)
        latents = scheduler.step(model_pred.to(latents.dtype), own_timestep, latents, **drawing, return_dict=False)[0]
        if after_step is not None:
            latents = after_step(step, own_timestep, latents)
    return torch.as_tensor(latents)
