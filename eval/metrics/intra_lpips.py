"""Perceptual distance among the parts of one panorama."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eval.functional.crops import crop_grid, cut
from eval.metrics.base import SIDES, Ratio, RatioMetric, metric_name
from eval.perceptual import PerceptualDistance, ScapesLpips
from lit_outpaint.protocols import CaptionOf, NotComputable, SampleId, View

_PAIRS_AT_ONCE = 32


class IntraLpips(RatioMetric):
    """Intra-LPIPS: how little the crops of a panorama resemble each other, generated and real side by side.

    Low values mean coherence, and repetition too: read it beside the real value. Source: Lee et al. 2023
    (arXiv:2306.05178); their evaluation code takes all pairs of the 512 px crops at a stride of 512 px with VGG.

    Args:
        distance: the perceptual distance; the scapes probe's when absent.
        crop_px: side of a crop; the shorter side of the panorama when absent.
        stride_px: distance of the crops; ``crop_px`` when absent.
    """

    view: View = "panorama"
    caption: CaptionOf = "global"
    side_by_side = True

    def __init__(
        self,
        distance: PerceptualDistance | None = None,
        crop_px: int | None = None,
        stride_px: int | None = None,
    ) -> None:
        super().__init__()
        self.distance = distance or ScapesLpips()
        self.crop_px, self.stride_px = crop_px, stride_px
        for side in SIDES:
            self.add_state(f"{side}_total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_count", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch.

        Raises:
            ValueError: a panorama has room for one crop only.
        """
        for side, pictures in zip(SIDES, (generated, reference), strict=True):
            for picture in pictures:
                setattr(self, f"{side}_total", getattr(self, f"{side}_total") + self._within(picture))
                setattr(self, f"{side}_count", getattr(self, f"{side}_count") + 1)

    def ratios(self) -> dict[str, Ratio]:
        """What makes up each score, by its name."""
        scores = {}
        crop, stride = f"crop-{self.crop_px or 'square'}", f"stride-{self.stride_px or 'side-by-side'}"
        for side, mark in zip(SIDES, ("n", "real-n"), strict=True):
            count = int(getattr(self, f"{side}_count"))
            if count:
                name = metric_name("intra_lpips", self.distance.name, crop, stride, f"{mark}{count}")
                scores[name] = Ratio(float(getattr(self, f"{side}_total")), count)
        return scores

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        if not int(self.generated_count):  # type: ignore[arg-type]
            raise NotComputable("Intra-LPIPS cannot be computed: there are no panoramas")
        return {name: ratio.total / ratio.num for name, ratio in self.ratios().items()}

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"Mean over panoramas of the mean {self.distance.name} of all pairs of square crops of one panorama "
            "(SyncDiffusion: 512 px crops at a stride of 512 px with VGG)."
        )

    def _within(self, picture: Tensor) -> float:
        height, width = picture.shape[-2:]
        size = self.crop_px or min(height, width)
        crops = cut(picture, crop_grid(height, width, size, self.stride_px or size), size)
        if len(crops) < 2:
            raise ValueError(
                f"Intra-LPIPS needs panoramas with room for two crops of {size} px, got {width} x {height} px"
            )
        pairs = torch.combinations(torch.arange(len(crops)))
        distances = [
            self.distance.distance(crops[part[:, 0]], crops[part[:, 1]]) for part in pairs.split(_PAIRS_AT_ONCE)
        ]
        return float(torch.cat(distances).double().mean())
