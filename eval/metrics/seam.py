"""Seam scores of the windows of steps: by the lines at the seam, and by the squares beside it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from eval.figures import Target
from eval.functional.borders import SQUARES_PX, border_scores, squares_fit
from eval.functional.seam import Axis, seam_score
from eval.metrics.base import SIDES, Described, Ratio, RatioMetric, metric_name
from lit_outpaint.canvas.geometry import HEADINGS, Direction
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import NotComputable, SampleId

Compared = Literal["lines", "colour", "texture"]
"""What is compared on both sides of the seam: its two lines, mean colours of squares, or their texture energy."""

_SQUARES = f"squares of {' and '.join(map(str, SQUARES_PX))} px"


class _Kind(NamedTuple):
    name: str
    target: float
    definition: str


_KINDS: dict[Compared, _Kind] = {
    "lines": _Kind(
        "seam",
        1.25,
        "Mean absolute difference of the two lines at the seam over that of all other neighbouring lines of the "
        "window, mean over windows; 1 says that nothing stands out.",
    ),
    "colour": _Kind(
        "seam_colour",
        1.10,
        f"Difference of mean colour of the {_SQUARES} that touch the seam from both sides, over that of neighbouring "
        "squares at all places that the seam does not cross, mean over sizes and windows; 1 says that nothing stands "
        "out.",
    ),
    "texture": _Kind(
        "seam_texture",
        1.10,
        f"The same of the texture energy (deviation of pixels) of the {_SQUARES}.",
    ),
}


class Seam(RatioMetric):
    """Mean seam score of windows, of real windows at the same place, and the first over the second.

    Args:
        direction: the side that grows.
        stride_px: width of the new strip; half the window when absent.
        compared: what of the two sides is compared.
    """

    side_by_side = True

    def __init__(
        self, direction: Direction = "right", stride_px: int | None = None, compared: Compared = "lines"
    ) -> None:
        super().__init__()
        self.direction, self.stride_px, self.compared = direction, stride_px, compared
        for side in SIDES:
            self.add_state(f"{side}_total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_count", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch."""
        for side, pictures in zip(SIDES, (generated, reference), strict=True):
            if len(pictures):
                window_px = int(pictures.shape[-1 if HEADINGS[self.direction].axis == 0 else -2])
                geometry = Geometry(self.direction, window_px, self.stride_px or window_px // 2)
                total = self._scores(pictures.float(), geometry.seam, geometry.axis).double().sum()
                setattr(self, f"{side}_total", getattr(self, f"{side}_total") + total.to(self.device))
                setattr(self, f"{side}_count", getattr(self, f"{side}_count") + len(pictures))

    def ratios(self) -> dict[str, Ratio]:
        """What makes up each score, by its name."""
        sums = {side: (float(getattr(self, f"{side}_total")), int(getattr(self, f"{side}_count"))) for side in SIDES}
        (drawn, count), (real, real_count) = sums["generated"], sums["reference"]
        name = _KINDS[self.compared].name
        where = f"{self.direction}-stride{self.stride_px or 'half'}"
        scores = {metric_name(name, where, f"n{count}"): Ratio(drawn, count)} if count else {}
        if real > 0:
            scores[metric_name(name, where, f"real-n{real_count}")] = Ratio(real, real_count)
            if count:
                quotient = Ratio(drawn / count, real / real_count)
                scores[metric_name(f"{name}_over_real", where, f"n{count}")] = quotient
        return scores

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        if not self.generated_count:
            raise NotComputable("the seam score cannot be computed: there are no windows")
        return {name: ratio.total / ratio.num for name, ratio in self.ratios().items()}

    def describe(self, name: str) -> Described:
        """How a score stands in a report."""
        kind = _KINDS[self.compared]
        target = Target("<=", kind.target) if name.startswith(f"{kind.name}_over_real.") else None
        return super().describe(name)._replace(target=target)

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return _KINDS[self.compared].definition

    def _scores(self, pictures: Tensor, seam: int, axis: Axis) -> Tensor:
        if self.compared == "lines":
            return seam_score(pictures, seam, axis)
        return getattr(border_scores(pictures, seam, axis), self.compared)


def seam_metrics(geometry: Geometry) -> list[RatioMetric]:
    """The seam scores of all kinds; those of squares are left out where squares do not fit beside the seam."""
    fit = squares_fit(geometry.seam, geometry.window_px)
    kinds = [kind for kind in _KINDS if kind == "lines" or fit]
    return [Seam(geometry.direction, geometry.stride_px, kind) for kind in kinds]
