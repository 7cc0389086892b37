"""The denoiser: a U-Net and the attention rule by which it reads a context, behind one call.

Training, the pipelines, both engines and the callbacks predict through it. With ``known`` the U-Net reads nine channels
(noisy latents, mask, masked-image latents); without, it is a text-to-image U-Net of four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor

from lit_outpaint.diffusion.guidance import guide
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.attention import AttentionRule, FullAttention, Size
from lit_outpaint.models.compiled import compile_for_drawing
from lit_outpaint.models.context import ChangingContext, Context
from lit_outpaint.models.latent_concat import LatentConcat, latent_concat, region_calls
from lit_outpaint.models.reproducible import copies_of_rows
from lit_outpaint.models.unet import unet_input

Predict = Callable[[Tensor, Tensor], Tensor]
"""From noisy latents (B, C, h, w) and one timestep to the prediction."""


class Known(NamedTuple):
    """What is known of the windows of a batch."""

    mask: Float[Tensor, "b 1 mh mw"]
    """1 = generate, 0 = keep, at pixel or latent size."""
    masked_image_latents: Float[Tensor, "b c h w"]
    """Scaled latents of the windows with the 1s of the mask blanked."""

    def repeat(self, copies: int) -> Known:
        """The same batch several times over."""
        return Known(self.mask.repeat(copies, 1, 1, 1), self.masked_image_latents.repeat(copies, 1, 1, 1))

    def of(self, samples: Int[Tensor, " k"]) -> Known:
        """The windows of some samples."""
        return Known(self.mask[samples], self.masked_image_latents[samples])


class Denoiser:
    """A U-Net whose attention layers read a context by a rule.

    Args:
        unet: is given the rule's processors.
        rule: every position reads every row when absent.
        channels_last: lay the input out for convolutions that are faster so.
    """

    def __init__(
        self, unet: UNet2DConditionModel, rule: AttentionRule | None = None, *, channels_last: bool = False
    ) -> None:
        self.unet, self.channels_last = unet, channels_last
        self.rule: AttentionRule = rule or FullAttention()
        self.rule.install(unet)
        self._compiled: Callable[..., Any] | None = None

    def __call__(
        self,
        noisy_latents: Float[Tensor, "b c h w"],
        timesteps: Tensor,
        context: Context,
        known: Known | None = None,
        *,
        maps: dict[str, Any] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Predict the target of each sample.

        Args:
            noisy_latents: scaled latents with noise.
            timesteps: one per sample, or one for all.
            context: what cross-attention reads.
            known: mask and masked image; None for a text-to-image U-Net.
            maps: where given, the attention weights (B, heads, positions, rows) of each cross-attention layer that it
                names as a key, are put into it; see `BiasedAttentionProcessor`.
        """
        if context.regions is not None and isinstance(self.rule, LatentConcat):
            return self._merging(self.unet, context, known, _size(noisy_latents))(noisy_latents, timesteps)
        kwargs = self.rule.cross_attention_kwargs(context, _size(noisy_latents))
        if maps is not None:
            kwargs = {**kwargs, "maps": maps}
        return self._predict(self.unet, noisy_latents, timesteps, context, known, kwargs)

    def guided(
        self,
        context: Context | ChangingContext,
        known: Known | None,
        size: tuple[int, int],
        sampling: Sampling,
        *,
        project_once: bool = False,
        compiled: bool = False,
    ) -> Predict:
        """What maps noisy latents of a batch of windows and one timestep to the guided prediction.

        Args:
            context: of as many samples as there are windows, or under guidance of twice as many, the unconditional
                ones first.
            known: mask and masked image of the windows; None for text-to-image.
            size: height and width of the latents.
            sampling: says how strong guidance is.
            project_once: keep the keys and values of the context in all layers: less work, more memory.
            compiled: use the compiled U-Net.
        """
        if isinstance(context, ChangingContext):
            changing = context.at

            def predict_by_step(latents: Tensor, timestep: Tensor) -> Tensor:
                return self.guided(changing(timestep), known, size, sampling, compiled=compiled)(latents, timestep)

            return predict_by_step
        guided = sampling.guided
        count = len(context.hidden_states) // (2 if guided else 1)
        copies = copies_of_rows(count, guided)
        if copies > 1 and not guided:
            regions = None if context.regions is None else context.regions.repeat(copies)
            context = context._replace(hidden_states=context.hidden_states.repeat(copies, 1, 1), regions=regions)
        unet = self.compiled() if compiled else self.unet
        known = known.repeat(copies) if known is not None else None
        if context.regions is not None and isinstance(self.rule, LatentConcat):
            predict_rows = self._merging(unet, context, known, size)
        else:
            predict_rows = self._reading(unet, context, known, size, project_once)

        def predict(latents: Tensor, timestep: Tensor) -> Tensor:
            model_pred = predict_rows(latents.repeat(copies, 1, 1, 1), timestep)
            if not guided:
                return model_pred[: len(latents)]
            without, conditional = model_pred.chunk(2)
            return guide(without, conditional, sampling.guidance_scale, sampling.guidance_rescale)

        return predict

    def compiled(self) -> Callable[..., Any]:
        """The U-Net as calls with ``compiled`` use it, made when first asked for; see `lit_outpaint.models.compiled`.

        Raises:
            ValueError: it cannot be compiled here.
        """
        if self._compiled is None:
            self._compiled = compile_for_drawing(self.unet)
        return self._compiled

    def _reading(
        self, unet: Callable[..., Any], context: Context, known: Known | None, size: Size, project_once: bool
    ) -> Predict:
        """Predictions by one call of the U-Net; the rule sees to regions."""
        rule = self.rule
        kwargs = (
            rule.loop_kwargs(self.unet, context, size) if project_once else rule.cross_attention_kwargs(context, size)
        )
        return lambda rows, timestep: self._predict(unet, rows, timestep, context, known, kwargs)

    def _merging(self, unet: Callable[..., Any], context: Context, known: Known | None, size: Size) -> Predict:
        """Predictions by one call of the U-Net per region, and one for the base."""
        calls = region_calls(context, size)

        def predict(noisy_latents: Tensor, timesteps: Tensor) -> Tensor:
            def of(samples: Tensor | None, rows: Context) -> Tensor:
                kwargs = self.rule.cross_attention_kwargs(rows, size)
                if samples is None:
                    return self._predict(unet, noisy_latents, timesteps, rows, known, kwargs)
                part = known.of(samples) if known is not None else None
                times = timesteps[samples] if timesteps.ndim and len(timesteps) > 1 else timesteps
                return self._predict(unet, noisy_latents[samples], times, rows, part, kwargs)

            return latent_concat(of, calls, noisy_latents)

        return predict

    def _predict(
        self,
        unet: Callable[..., Any],
        noisy_latents: Tensor,
        timesteps: Tensor,
        context: Context,
        known: Known | None,
        kwargs: dict[str, Any],
    ) -> Tensor:
        """One call of the U-Net."""
        stacked = noisy_latents if known is None else unet_input(noisy_latents, *known)
        if self.channels_last:
            stacked = stacked.contiguous(memory_format=torch.channels_last)
        return unet(stacked, timesteps, context.hidden_states, cross_attention_kwargs=kwargs).sample


def _size(latents: Tensor) -> tuple[int, int]:
    return latents.shape[2], latents.shape[3]
