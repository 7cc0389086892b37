"""From prompts of regions to the rows that their boxes read.

A region's rows are what the conditioning part makes of the window's features with the local caption replaced by the
region's prompt. So regions work with every part: plain text, the rows W of captions and picture, features of a language
model.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from lit_outpaint.data.features import Features
from lit_outpaint.models.attention import AttentionRule
from lit_outpaint.models.context import ChangingContext, Context
from lit_outpaint.models.denoiser import Predict
from lit_outpaint.models.latent_concat import LatentConcat
from lit_outpaint.models.regional import RegionalAttention
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.models.regions import Box, RegionContext, RegionRows, cat_regions, gather_regions

_OF_WINDOW: Final = "_local"
"""How the names of features end that come from the caption of the window."""


class RegionPrompt(NamedTuple):
    """What one box of a window is to show."""

    box: Box
    """In shares of the window."""
    prompt: str
    """What it shows."""
    base_ratio: float
    """Share of the base prompt inside it, in [0, 1]."""
    negative_prompt: str = ""
    """What it should not show; empty takes the unconditional branch of the window."""


def rule_of(config: RegionalConfig) -> AttentionRule:
    """The attention rule of a merge."""
    return RegionalAttention() if config.merge == "attention_crop" else LatentConcat()


class RegionFeatures(NamedTuple):
    """The regions of a batch of windows, encoded, one after the other."""

    windows: list[list[RegionPrompt]]
    """The regions of each window."""
    features: Features
    """Of all regions, in the order of the windows."""

    def rows(self, part: Callable[[Features], Context]) -> RegionContext | None:
        """Their rows; ``part`` makes rows of features."""
        context = part(self.features)
        rows, bias = context.hidden_states, context.key_bias
        # One bias for all regions, or one for each where padded rows are hidden.
        biases: list[Tensor | None] = [None] * len(rows) if bias is None else list(bias.expand(len(rows), -1))
        own = iter(zip(rows, biases, strict=True))

        def encoded(region: RegionPrompt) -> RegionRows:
            hidden_states, key_bias = next(own)
            return RegionRows(region.box, hidden_states, region.base_ratio, key_bias)

        return gather_regions([[encoded(region) for region in window] for window in self.windows])


class GuidedRegions(NamedTuple):
    """The regions of a batch as guidance reads them."""

    regions: RegionFeatures
    """What the boxes show."""
    negative: RegionFeatures | None
    """What they should not show, where they say so; elsewhere the unconditional branch reads its base rows."""
    guided: bool
    """Whether there is an unconditional branch; it comes first in the batch."""

    def rows(self, part: Callable[[Features], Context]) -> RegionContext | None:
        """The rows of both branches; ``part`` makes rows of features."""
        regions = self.regions.rows(part)
        if regions is None or not self.guided:
            return regions
        negative = None if self.negative is None else self.negative.rows(part)
        return cat_regions([negative or regions.emptied(), regions])


def encode_guided_regions(
    windows: Sequence[Sequence[RegionPrompt]],
    features: Features,
    without: Features | None,
    encode: Callable[[Sequence[str], Features], Features],
) -> GuidedRegions | None:
    """Encode the regions of a batch of windows; None when there are none.

    Args:
        windows: the regions of each window.
        features: of the windows.
        without: features of the unconditional branch; None without guidance.
        encode: completes features with those of local captions, one for each sample.
    """
    prompts = [[region.prompt for region in window] for window in windows]
    regions = _encoded(windows, prompts, features, encode)
    if regions is None or without is None:
        return None if regions is None else GuidedRegions(regions, None, False)
    refusing = [[region for region in window if region.negative_prompt] for window in windows]
    texts = [[region.negative_prompt for region in window] for window in refusing]
    return GuidedRegions(regions, _encoded(refusing, texts, without, encode), True)


def without_regions(context: Context | ChangingContext) -> Context | ChangingContext:
    """The same context with the base rows alone."""
    if isinstance(context, ChangingContext):
        changing = context.at
        return ChangingContext(lambda timestep: changing(timestep)._replace(regions=None))
    return context._replace(regions=None)


def last_region_timestep(scheduler: Any, num_inference_steps: int, end_fraction: float) -> float:
    """The timestep of the last denoising step that regions act on; infinite when there is none.

    Args:
        scheduler: a diffusers scheduler; its steps are set here.
        num_inference_steps: of the loop.
        end_fraction: share of the steps with regions.
    """
    scheduler.set_timesteps(num_inference_steps, device="cpu")
    # A share such as 0.28 of 25 steps is 7, and a little more in floating point.
    count = math.ceil(end_fraction * len(scheduler.timesteps) - 1e-9)
    return float(scheduler.timesteps[count - 1]) if count else math.inf


def until(last: float, with_regions: Predict, without: Predict) -> Predict:
    """Predict with regions down to the timestep ``last``, and without below it."""

    def predict(latents: Tensor, timestep: Tensor) -> Tensor:
        return (with_regions if float(timestep) >= last else without)(latents, timestep)

    return predict


def _encoded(
    windows: Sequence[Sequence[RegionPrompt]],
    texts: Sequence[Sequence[str]],
    features: Features,
    encode: Callable[[Sequence[str], Features], Features],
) -> RegionFeatures | None:
    owners = [number for number, window in enumerate(windows) for _ in window]
    if not owners:
        return None
    shared = {
        name: None if value is None or name.endswith(_OF_WINDOW) else value[torch.tensor(owners, device=value.device)]
        for name, value in features._asdict().items()
    }
    encoded = encode([text for of_window in texts for text in of_window], Features(**shared))
    return RegionFeatures([list(window) for window in windows], encoded)
