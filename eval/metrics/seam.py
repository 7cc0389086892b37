"""Seam score of the windows of steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eval.figures import Target
from eval.functional.seam import seam_score
from eval.metrics.base import SIDES, Described, Ratio, RatioMetric, metric_name
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.heldout.rollout import Geometry
from lit_outpaint.protocols import NotComputable, SampleId


class Seam(RatioMetric):
    """Mean seam score of windows, of real windows at the same place, and the first over the second.

    Args:
        direction: the side that grows.
        stride_px: width of the new strip; half the window when absent.
    """

    side_by_side = True

    def __init__(self, direction: Direction = "right", stride_px: int | None = None) -> None:
        super().__init__()
        self.direction, self.stride_px = direction, stride_px
        for side in SIDES:
            self.add_state(f"{side}_total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_count", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """See ``ImageMetric``."""
        for side, pictures in zip(SIDES, (generated, reference), strict=True):
            if len(pictures):
                window_px = int(pictures.shape[-1])
                geometry = Geometry(self.direction, window_px, self.stride_px or window_px // 2)
                total = seam_score(pictures.float(), geometry.joint, geometry.axis).double().sum()
                setattr(self, f"{side}_total", getattr(self, f"{side}_total") + total.to(self.device))
                setattr(self, f"{side}_count", getattr(self, f"{side}_count") + len(pictures))

    def ratios(self) -> dict[str, Ratio]:
        """See ``RatioMetric``."""
        sums = {side: (float(getattr(self, f"{side}_total")), int(getattr(self, f"{side}_count"))) for side in SIDES}
        (drawn, count), (real, real_count) = sums["generated"], sums["reference"]
        where = f"{self.direction}-stride{self.stride_px or 'half'}"
        scores = {metric_name("seam", where, f"n{count}"): Ratio(drawn, count)} if count else {}
        if real > 0:
            scores[metric_name("seam", where, f"real-n{real_count}")] = Ratio(real, real_count)
            if count:
                quotient = Ratio(drawn / count, real / real_count)
                scores[metric_name("seam_over_real", where, f"n{count}")] = quotient
        return scores

    def compute(self) -> dict[str, float]:
        """See ``ImageMetric``."""
        if not self.generated_count:
            raise NotComputable("the seam score cannot be computed: there are no windows")
        return {name: ratio.total / ratio.num for name, ratio in self.ratios().items()}

    def describe(self, name: str) -> Described:
        """See ``NamedMetric``."""
        target = Target("<=", 1.25) if name.startswith("seam_over_real.") else None
        return super().describe(name)._replace(target=target)

    @property
    def definition(self) -> str:
        """See ``NamedMetric``."""
        return (
            "Mean absolute difference of the two lines at the joint over that of all other neighbouring lines of the "
            "window, mean over windows; 1 says that nothing stands out."
        )
