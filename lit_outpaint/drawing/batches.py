"""Draws the windows of a training batch with a system in training: pictures for loggers and ``predict``."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import stacked, told, unconditional
from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.diffusion.schedule import scheduler_class
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.context import ChangingContext
from lit_outpaint.models.denoiser import Denoiser, Known


@runtime_checkable
class System(Protocol):
    """What is needed of a training system."""

    context: Any
    denoiser: Denoiser
    scheduler: Any

    @property
    def device(self) -> Any:
        """Where its weights lie."""
        ...

    def complete(self, batch: OutpaintBatch) -> OutpaintBatch:
        """Encode what a batch lacks."""
        ...

    def known(self, batch: OutpaintBatch) -> Known | None:
        """Mask and masked image of a batch, None in text-to-image."""
        ...


@torch.no_grad()
def draw_batch(
    system: System, batch: OutpaintBatch, sampling: Sampling, normal: Callable[[Tensor], Tensor]
) -> Float[Tensor, "b c h w"]:
    """Draw scaled latents for a batch's masks and captions.

    Args:
        system: draws with the weights it holds.
        batch: whose masks and conditions.
        sampling: how.
        normal: draws unit Gaussian noise in the shape of what it is given.
    """
    batch = system.complete(batch)
    like = batch.moments.chunk(2, dim=1)[0]
    features = told(batch.features, batch.empty, sampling)
    if sampling.guided:
        features = stacked(unconditional(features, batch.empty, sampling), features)
    changing = getattr(system.context, "reads_timestep", False)
    context = ChangingContext(partial(system.context, features)) if changing else system.context(features)
    predict = system.denoiser.guided(context, system.known(batch), (like.shape[2], like.shape[3]), sampling)
    scheduler = deepcopy(system.scheduler)
    if sampling.scheduler is not None:
        scheduler = scheduler_class(sampling.scheduler).from_config(scheduler.config)
    return denoise(predict, normal(like).to(system.device), scheduler, sampling.num_inference_steps)
