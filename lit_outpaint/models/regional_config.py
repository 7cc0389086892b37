"""The settings of regions: light to import, for command lines."""

from dataclasses import dataclass
from typing import Literal

Merge = Literal["attention_crop", "latent_concat"]


@dataclass(frozen=True, kw_only=True)
class RegionalConfig:
    """How regions act on a picture."""

    merge: Merge = "attention_crop"
    """attention_crop: inside cross-attention, one U-Net call a step (the released code of RPG); latent_concat: one call
    for each region, their latents put together (the paper's formula)."""
    base_ratio: float = 0.2
    """Share of the base prompt inside a region that does not say its own, in [0, 1]. RPG's authors advise 0.2 for
    things of different kinds and 0.35 to 0.55 for several of one kind."""
    end_fraction: float = 1.0
    """Share of the denoising steps, in [0, 1], after which the base prompt acts alone."""

    def __post_init__(self) -> None:
        if not 0 <= self.base_ratio <= 1:
            raise ValueError(f"base_ratio must lie in [0, 1] (1 = base prompt alone), got {self.base_ratio}")
        if not 0 <= self.end_fraction <= 1:
            raise ValueError(f"end_fraction must lie in [0, 1] (1 = regions to the end), got {self.end_fraction}")
