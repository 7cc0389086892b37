"""What metrics look at, cut from panoramas: windows, strips, or the whole; and what they say, by name."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_outpaint.canvas.compositing import to_pixel_values
from lit_outpaint.heldout.evalset import EvalPanorama
from lit_outpaint.heldout.walks import Geometry, Pixels
from lit_outpaint.protocols import CaptionOf, ImageMetric, NotComputable, SampleId, View


class Compared(NamedTuple):
    """A panorama, the real one beside it, and their captions."""

    key: str
    generated: Tensor | None
    """``(3, H, W)`` in [-1, 1]; None where only the real one is handed in."""
    reference: Tensor | None
    """The same of the real panorama; None where there is none."""
    global_caption: str
    local_captions: tuple[str, ...]
    """Of the start window and of each step."""


def compared(truth: EvalPanorama, generated: Pixels, real: Pixels, device: torch.device | str = "cpu") -> Compared:
    """A drawn panorama beside the held-out one that it was drawn from."""
    drawn, reference = (to_pixel_values(picture[None])[0].to(device) for picture in (generated, real))
    local = (truth.first_caption, *(step.local_caption for step in truth.steps))
    return Compared(truth.key, drawn, reference, truth.global_caption, local)


class _Batch(NamedTuple):
    generated: Tensor
    reference: Tensor
    captions: dict[CaptionOf, list[str]]
    samples: list[SampleId]


class PanoramaBatch:
    """Panoramas of one size; metrics that ask for the same view are handed the same tensors.

    Args:
        panoramas: at least one; all with a generated picture or none, and likewise for real ones.
        geometry: of the steps that they grew by.
        num_steps: how many of them.
    """

    def __init__(self, panoramas: Sequence[Compared], geometry: Geometry, num_steps: int) -> None:
        self._panoramas, self._geometry, self._num_steps = list(panoramas), geometry, num_steps
        self._cut: dict[tuple[View, int], _Batch] = {}

    def feed(self, metric: ImageMetric, *, real_alone: bool = False) -> None:
        """Hand a metric what it wants to see.

        Args:
            metric: any.
            real_alone: hand in the real pictures in the place of the drawn ones, too.
        """
        wanted = metric.view, 0 if metric.view == "panorama" else metric.from_step
        if wanted not in self._cut:
            self._cut[wanted] = self._batch(*wanted)
        batch = self._cut[wanted]
        caption: CaptionOf = "global" if metric.view == "panorama" else metric.caption
        generated = batch.reference if real_alone else batch.generated
        metric.update(generated, batch.reference, batch.captions[caption], batch.samples)

    def _batch(self, view: View, from_step: int) -> _Batch:
        steps = [0] if view == "panorama" else range(from_step, self._num_steps + 1)
        generated, reference = (
            [self._view(picture, view, step) for picture in pictures if picture is not None for step in steps]
            for pictures in zip(*((row.generated, row.reference) for row in self._panoramas), strict=True)
        )
        some = (generated or reference)[0]
        nothing = some.new_empty(0, *some.shape)
        rows = [(row, step) for row in self._panoramas for step in steps]
        return _Batch(
            torch.stack(generated) if generated else nothing,
            torch.stack(reference) if reference else nothing,
            {
                "global": [row.global_caption for row, _ in rows],
                "local": [row.local_captions[step] if row.local_captions else "" for row, step in rows],
            },
            [SampleId(row.key, step) for row, step in rows],
        )

    def _view(self, picture: Tensor, view: View, step: int) -> Tensor:
        if view == "panorama":
            return picture
        geometry = self._geometry
        span = geometry.window_span(picture.shape[-1 if geometry.horizontal else -2], step)
        if view == "strip":
            if step == 0:
                raise ValueError("the start window has no strip; a metric of strips begins at from_step 1")
            new = geometry.stride_px
            span = slice(span.stop - new, span.stop) if geometry.forward else slice(span.start, span.start + new)
        return picture[..., span] if geometry.horizontal else picture[..., span, :]


def named_by_geometry(name: str, view: View, geometry: Geometry) -> str:
    """The name of a score with the size of what was looked at."""
    if view == "panorama":
        return name
    return f"{name}.window{geometry.window_px}-stride{geometry.stride_px}-{geometry.direction}"


class Computed(NamedTuple):
    """What a metric says."""

    values: dict[str, float]
    """Finite, by name."""
    missing: dict[str, str]
    """Why there is no value, by name, or by what the metric is called where nothing can be computed."""


def computed(metric: ImageMetric) -> Computed:
    """The scores of a metric; what cannot be computed, or is not finite, is told with its reason."""
    try:
        scores = metric.compute()
    except NotComputable as error:
        return Computed({}, {getattr(metric, "label", type(metric).__name__.lower()): str(error)})
    finite = {name: value for name, value in scores.items() if math.isfinite(value)}
    return Computed(finite, {name: "the value is not finite" for name in scores.keys() - finite.keys()})
