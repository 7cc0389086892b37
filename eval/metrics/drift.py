"""How panoramas change from step to step, beside the real ones."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eval.clip import EvaluationClip, find_clip
from eval.figures import DEFAULT_STEPS
from eval.functional.clip_sim import clip_sim
from eval.functional.lab import LabStatistics, lab_statistics
from eval.functional.repetition import HEIGHT_PX, PATCH_PX, repetition
from eval.functional.slope import mean_interval, slopes
from eval.metrics.base import SIDES, Ratio, RatioMetric, metric_name
from eval.metrics.wide_fid import window_of
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import CaptionOf, NotComputable, SampleId, View

_COMPARED = (*SIDES, "beyond_real")


class Drift(RatioMetric):
    """Colour, contrast, sharpness, distance to the start and repetition over steps, with slopes.

    Figures of a window: mean and deviation in CIE Lab, sharpness (deviation of the Laplacian of L), CLIP distance to
    the start window (1 - cosine), and repetition (share of the new strip's patches that were there before, 0 at the
    start; see ``eval.functional.repetition``). Every panorama gives one slope per figure; their mean comes with a t
    interval over panoramas. ``beyond_real`` is the mean difference of a drawn panorama's slope and that of the real one
    beside it.

    Args:
        window_px: side of a window, the shorter side of panoramas.
        stride_px: new pixels per step.
        direction: the side that grew.
        steps: which ones; those beyond the end of the panoramas are left out.
        clip: the evaluation CLIP; None leaves the CLIP distance out.
        lookback_px: how far back repetition looks; four windows when absent.
    """

    view: View = "panorama"
    caption: CaptionOf = "global"
    key_parts = 2
    side_by_side = True

    def __init__(
        self,
        window_px: int,
        stride_px: int,
        direction: Direction = "right",
        steps: Sequence[int] = DEFAULT_STEPS,
        clip: str | EvaluationClip | None = None,
        lookback_px: int | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= stride_px <= window_px:
            raise ValueError(f"stride_px must lie in [1, window_px = {window_px}], got {stride_px}")
        if len(set(steps)) < 2 or min(steps) < 0:
            raise ValueError(f"steps must be at least two different ones and not negative, got {list(steps)}")
        self.geometry = Geometry(direction, window_px, stride_px)
        self.steps = sorted(set(steps))
        self.clip = None if clip is None else find_clip(clip)
        self.lookback_px = lookback_px or 4 * window_px
        self.figures = (*LabStatistics._fields, "repetition", *(() if clip is None else ("clip_distance",)))
        shape = (len(self.figures), len(self.steps))
        for side in SIDES:
            self.add_state(f"{side}_values", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_counts", torch.zeros(len(self.steps), dtype=torch.int64), dist_reduce_fx="sum")
        for what in _COMPARED:
            # Sum and sum of squares of slopes.
            self.add_state(f"{what}_slopes", torch.zeros(2, shape[0], dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{what}_num", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch.

        Raises:
            ValueError: a panorama is not ``window_px`` across, or ends before the second step.
        """
        slopes_of: dict[str, list[Tensor]] = {side: [] for side in SIDES}
        for side, pictures in zip(SIDES, (generated, reference), strict=True):
            for picture in pictures:
                values = self._values(picture)
                reached = values.shape[1]
                getattr(self, f"{side}_values")[:, :reached] += values.to(self.device)
                getattr(self, f"{side}_counts")[:reached] += 1
                slopes_of[side].append(slopes(values, torch.tensor(self.steps[:reached])))
                self._add_slope(side, slopes_of[side][-1])
        for drawn, real in zip(*slopes_of.values(), strict=False):
            self._add_slope("beyond_real", drawn - real)

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        if not int(self.generated_num):  # type: ignore[arg-type]
            raise NotComputable("drift cannot be computed: there are no panoramas")
        scores: dict[str, float] = {}
        for row, figure in enumerate(self.figures):
            for side in SIDES:
                counts = getattr(self, f"{side}_counts")
                means = getattr(self, f"{side}_values")[row] / counts
                for step, count, mean in zip(self.steps, counts.tolist(), means.tolist(), strict=True):
                    if count:
                        scores[self._name(figure, side, f"step{step}")] = mean
            for what in _COMPARED:
                scores |= self._slope_scores(row, figure, what)
        return scores

    def ratios(self) -> dict[str, Ratio]:
        """What makes up each score, by its name; slopes alone, one per panorama."""
        return {
            self._name(figure, what, "slope"): Ratio(
                float(getattr(self, f"{what}_slopes")[0, row]), int(getattr(self, f"{what}_num"))
            )
            for row, figure in enumerate(self.figures)
            for what in _COMPARED
            if getattr(self, f"{what}_num")
        }

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        network = "" if self.clip is None else f", CLIP distance to the start window by {self.clip.name}"
        return (
            f"Of windows of {self.geometry.window_px} px at a stride of {self.geometry.stride_px} px: mean and "
            "deviation in CIE Lab, deviation of the Laplacian of L, share of the new strip's patches that have "
            f"structure and are found in the {self.lookback_px} px before it{network}; mean over panoramas at each "
            "step. slope: mean of the panoramas' least-squares slopes per step over those steps, with a 95 % t "
            "interval over panoramas; beyond_real: of the paired differences to the real panoramas."
        )

    def _values(self, picture: Tensor) -> Tensor:
        geometry = self.geometry
        across, along = picture.shape[-2:] if geometry.horizontal else (picture.shape[-1], picture.shape[-2])
        steps = [step for step in self.steps if geometry.length(step) <= along]
        if across != geometry.window_px or len(steps) < 2:
            raise ValueError(
                f"drift needs panoramas of {geometry.window_px} px by at least {geometry.length(self.steps[1])} px, "
                f"got {picture.shape[-1]} x {picture.shape[-2]} px"
            )
        windows = torch.stack([window_of(picture, geometry, step) for step in steps])
        rows = list(lab_statistics(windows))
        rows.append(torch.tensor([self._repetition(picture, step) for step in steps], device=windows.device))
        if self.clip is not None:
            features = self.clip.encode_pixel_values(windows)
            rows.append(1 - clip_sim(features, features[:1].expand_as(features)))
        return torch.stack([row.double().cpu() for row in rows])

    def _repetition(self, picture: Tensor, step: int) -> float:
        if step == 0:
            return 0.0
        geometry = self.geometry
        # Turned and mirrored so that the canvas grows to the right.
        turned = picture if geometry.horizontal else picture.transpose(-1, -2)
        turned = turned if geometry.forward else turned.flip(-1)
        end = geometry.length(step)
        # A strip that is narrower than a patch is looked at with what stands before it.
        start = end - max(geometry.stride_px, -(-geometry.window_px * PATCH_PX // HEIGHT_PX))
        return repetition(turned[..., start:end], turned[..., max(start - self.lookback_px, 0) : start])

    def _add_slope(self, what: str, slope: Tensor) -> None:
        getattr(self, f"{what}_slopes").add_(torch.stack([slope, slope.square()]).to(self.device))
        setattr(self, f"{what}_num", getattr(self, f"{what}_num") + 1)

    def _slope_scores(self, row: int, figure: str, what: str) -> dict[str, float]:
        total, squares = getattr(self, f"{what}_slopes")[:, row].tolist()
        count = int(getattr(self, f"{what}_num"))
        if count < 2:
            return {self._name(figure, what, "slope"): total} if count else {}
        interval = mean_interval(total, squares, count)
        names = [self._name(figure, what, end) for end in ("slope", "slope_low", "slope_high")]
        return dict(zip(names, interval, strict=True))

    def _name(self, figure: str, what: str, end: str) -> str:
        sizes = f"window{self.geometry.window_px}-stride{self.geometry.stride_px}-{self.geometry.direction}"
        encoder = [self.clip.name] if figure == "clip_distance" and self.clip is not None else []
        marks = {"generated": "", "reference": "real-", "beyond_real": "beyond_real-"}
        count = f"{marks[what]}n{int(getattr(self, f'{what}_num'))}"
        return metric_name("drift", figure, *encoder, sizes, count, end)
