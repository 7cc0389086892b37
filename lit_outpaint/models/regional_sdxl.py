"""Regions for the stock Stable Diffusion XL pipeline of diffusers, RPG's main backbone.

    pipeline(**sdxl_arguments(pipeline, "two people in a park", regions, size_px=(1024, 1024)), num_inference_steps=20)

The pipeline stays as it is; its U-Net gets the processors of `RegionalAttention`, and the call its prompts encoded. Of
the two text encoders SDXL also reads one pooled vector for the whole picture; whose that is, is ``pooled_from``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_outpaint.models.context import Context
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.regional import RegionalAttention
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.models.regions import PooledFrom, RegionRows, cat_regions, gather_regions, pooled_embedding


@torch.no_grad()
def sdxl_arguments(
    pipeline: Any,
    base_prompt: str,
    regions: Sequence[RegionPrompt],
    *,
    size_px: tuple[int, int],
    negative_prompt: str = "",
    pooled_from: PooledFrom = "last_region",
    config: RegionalConfig = RegionalConfig(),
    guided: bool = True,
) -> dict[str, Any]:
    """What to call a ``StableDiffusionXLPipeline`` with, beside the number of steps, the guidance and the generator.

    Args:
        pipeline: its U-Net gets other attention processors.
        base_prompt: of the whole picture.
        regions: what each box shows, later ones on top; at least one.
        size_px: height and width of the picture.
        negative_prompt: of the whole picture.
        pooled_from: whose pooled vector the whole picture gets: the last region's, as in RPG's released code.
        config: how regions act.
        guided: whether the call has a guidance_scale above 1.

    Raises:
        ValueError: there are no regions, or the merge needs a denoiser of its own.
    """
    if not regions:
        raise ValueError("a picture with regions needs at least one, got none")
    if config.merge != "attention_crop":
        raise ValueError(f"merge must be attention_crop in a stock pipeline, got {config.merge}")
    rows, without, pooled, pooled_without = _encoded(pipeline, base_prompt, negative_prompt)
    of_regions = [_encoded(pipeline, region.prompt, region.negative_prompt or negative_prompt) for region in regions]
    conditional = _gathered(regions, [encoded[0][0] for encoded in of_regions])
    own_negatives = any(region.negative_prompt for region in regions)
    unconditional = _gathered(regions, [encoded[1][0] for encoded in of_regions]) if own_negatives else None
    both = [unconditional or conditional.emptied(), conditional] if guided else [conditional]
    rule, factor = RegionalAttention(), int(pipeline.vae_scale_factor)
    rule.install(pipeline.unet)
    stacked = Context(torch.cat([without, rows]) if guided else rows, regions=cat_regions(both))
    size = (size_px[0] // factor, size_px[1] // factor)
    arguments: dict[str, Any] = {
        "height": size_px[0],
        "width": size_px[1],
        "prompt_embeds": rows,
        "negative_prompt_embeds": without,
        "pooled_prompt_embeds": pooled_embedding(
            pooled, torch.cat([encoded[2] for encoded in of_regions])[None], pooled_from
        ),
        "negative_pooled_prompt_embeds": pooled_without,
        "cross_attention_kwargs": rule.cross_attention_kwargs(stacked, size),
    }
    if config.end_fraction < 1:
        arguments["callback_on_step_end"] = _ending(config.end_fraction)
    return arguments


def _encoded(pipeline: Any, prompt: str, negative_prompt: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and pooled vector of a prompt and of what it pushes away from: rows, negative, pooled, negative pooled."""
    rows, without, pooled, pooled_without = pipeline.encode_prompt(
        prompt, num_images_per_prompt=1, do_classifier_free_guidance=True, negative_prompt=negative_prompt
    )
    return rows, without, pooled, pooled_without


def _gathered(regions: Sequence[RegionPrompt], rows: Sequence[Tensor]) -> Any:
    pairs = zip(regions, rows, strict=True)
    return gather_regions([[RegionRows(region.box, own, region.base_ratio) for region, own in pairs]])


def _ending(end_fraction: float) -> Any:
    """A callback that lets the base prompt act alone after a share of the steps."""

    def after(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step + 1 >= end_fraction * pipeline.num_timesteps:
            pipeline._cross_attention_kwargs = None
        return {}

    return after
