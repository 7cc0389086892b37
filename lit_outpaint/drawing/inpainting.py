"""Parts of finished pictures drawn again by the nine-channel model: what the closed loop edits with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray

from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.seams import DRIFT_LEVELS
from lit_outpaint.data.views import extend_visible
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.rpg import read_regions
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.pipeline import OutpaintPipeline

_SWEEPS = 64
"""Of the membrane, which begins at the mean of its edge: what differs from that reaches some ten pixels inwards."""


class Repair(NamedTuple):
    """What is to be drawn again of one picture."""

    mask: Bool[ndarray, "h w"]
    """True = draw again."""
    caption: str
    """What stands there then."""
    scene: str
    """The whole picture."""
    negative_caption: str
    """What shall not stand there; empty for nothing in particular."""
    regions: tuple[RegionPrompt, ...]
    """Where things come to stand, in shares of the picture."""


@runtime_checkable
class Repairer(Protocol):
    """Draws parts of pictures again."""

    def repair(
        self,
        pictures: UInt8[ndarray, "n h w 3"],
        repairs: Sequence[Repair],
        generators: Sequence[torch.Generator],
    ) -> UInt8[ndarray, "n h w 3"]:
        """The pictures with their masked parts drawn again; all other pixels stay, bit for bit."""
        ...


class Inpainter:
    """Repairs with an outpainting model, whose masks may have any shape.

    Args:
        pipeline: draws; takes over the attention rule of the merge.
        sampling: how.
        regional: how regions act.
    """

    def __init__(self, pipeline: OutpaintPipeline, sampling: Sampling, regional: RegionalConfig) -> None:
        self.pipeline, self.sampling, self.regional = pipeline, sampling, regional
        read_regions(pipeline, regional)

    def repair(
        self,
        pictures: UInt8[ndarray, "n h w 3"],
        repairs: Sequence[Repair],
        generators: Sequence[torch.Generator],
    ) -> UInt8[ndarray, "n h w 3"]:
        """Draw the masked parts again; all other pixels stay."""
        masks = torch.from_numpy(np.stack([repair.mask for repair in repairs]))[:, None].float()
        windows = to_pixel_values(pictures)
        # What lies under the mask must not be seen, or it is drawn again.
        seen = [extend_visible(window[None], mask)[0] for window, mask in zip(windows, masks, strict=True)]
        drawn = self.pipeline.draw(
            windows,
            masks,
            [repair.caption for repair in repairs],
            [repair.scene for repair in repairs],
            seen,
            sampling=self.sampling,
            generator=list(generators),
            negative_captions=[repair.negative_caption for repair in repairs],
            regions=[repair.regions for repair in repairs],
            end_fraction=self.regional.end_fraction,
        )
        return np.stack(
            [
                np.where(repair.mask[..., None], matched(known, new, repair.mask), known)
                for known, new, repair in zip(pictures, to_uint8(drawn), repairs, strict=True)
            ]
        )


def matched(
    known: UInt8[ndarray, "h w 3"], drawn: UInt8[ndarray, "h w 3"], mask: Bool[ndarray, "h w"]
) -> UInt8[ndarray, "h w 3"]:
    """What was drawn under a mask of any shape, with its colours led over to those around it.

    The difference at the mask's edge is spread over its inside as a membrane (Laplace's equation), as the canvas does
    at straight seams (`lit_outpaint.canvas.seams`); differences above `DRIFT_LEVELS` show another thing and count as
    that much.
    """
    error = np.clip(known.astype(np.float32) - drawn, -DRIFT_LEVELS, DRIFT_LEVELS)
    grown = np.pad(mask, 1)
    edge = (grown[:-2, 1:-1] | grown[2:, 1:-1] | grown[1:-1, :-2] | grown[1:-1, 2:]) & ~mask
    if not edge.any():
        return drawn
    error[mask] = error[edge].mean(axis=0)
    inside = mask[..., None].astype(np.float32)
    for _ in range(_SWEEPS):
        padded = np.pad(error, ((1, 1), (1, 1), (0, 0)), mode="edge")
        around = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
        error += inside * (around - error)
    return np.clip(np.rint(drawn + error), 0, 255).astype(np.uint8)
