"""What a layout of the whole canvas asks of a window beside its caption: regions for the attention rule."""

from __future__ import annotations

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.drawing.rpg import region_prompts
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.planning.local import VISIBLE_SHARE, Layout


def regions_of(layout: Layout | None, window: Box, config: RegionalConfig) -> list[RegionPrompt]:
    """What a window meets, in shares of it, and its caption names; nothing where the base prompt acts alone."""
    if layout is None or config.base_ratio == 1:
        return []
    return region_prompts(layout.over(window, min_share=VISIBLE_SHARE), config)
