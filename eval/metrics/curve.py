"""Any metric of windows as a curve over steps."""

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from eval.figures import DEFAULT_STEPS
from eval.functional.slope import line_interval
from eval.memo import OncePerTensor
from eval.metrics.base import Described, metric_name
from lit_outpaint.protocols import CaptionOf, ImageMetric, NotComputable, SampleId, View


class Curve:
    """A metric of windows or strips, once for each of some steps, and the slope of each of its numbers.

    The start window is real, so that step 0 says where a curve begins. Steps that nothing was drawn for are left out.
    The interval of a slope is that of least squares through the points of the one curve; where the same panoramas are
    looked at one by one, as in ``Drift``, intervals are over panoramas instead and narrower.

    Args:
        metric: of windows or strips; a fresh copy is made for every step.
        steps: which ones.
    """

    def __init__(self, metric: ImageMetric, steps: Sequence[int] = DEFAULT_STEPS) -> None:
        if metric.view == "panorama":
            raise ValueError(f"a curve over steps needs a metric of windows or strips, got {type(metric).__name__}")
        if len(set(steps)) != len(steps) or any(step < 0 for step in steps) or not steps:
            raise ValueError(f"steps must be different and not negative, got {list(steps)}")
        self.view: View = metric.view
        self.caption: CaptionOf = metric.caption
        self.key_parts: int = getattr(metric, "key_parts", 1)
        self.side_by_side: bool = getattr(metric, "side_by_side", False)
        self.reads_captions: bool = getattr(metric, "reads_captions", False)
        # A start window was not added by a step, so that there is no strip of step 0.
        self.from_step = 0 if min(steps) == 0 and metric.view == "window" else 1
        self.label = f"{type(metric).__name__.lower()}.curve"
        self._metrics = {step: deepcopy(metric) for step in sorted(steps)}

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch."""
        for step, metric in self._metrics.items():
            rows = [row for row, sample in enumerate(samples) if sample.step == step]
            if rows:
                drawn, real = (_taken(pictures, rows) for pictures in (generated, reference))
                metric.update(drawn, real, [captions[row] for row in rows], [samples[row] for row in rows])

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        points: dict[int, dict[str, float]] = {}
        problem = "there are no pictures"
        for step, metric in self._metrics.items():
            try:
                points[step] = metric.compute()
            except NotComputable as error:
                problem = str(error)
        if not points:
            raise NotComputable(f"no point of the curve can be computed: {problem}")
        scores = {
            metric_name(name, f"step{step}"): value
            for step, row in points.items()
            for name, value in row.items()
            if not _is_beside(name)
        }
        return scores | _slopes(points)

    def reset(self) -> None:
        """Forget everything taken in."""
        for metric in self._metrics.values():
            metric.reset()

    def to(self, device: Any) -> "Curve":
        """Move the states to a device."""
        self._metrics = {step: metric.to(device) for step, metric in self._metrics.items()}  # type: ignore[attr-defined]
        return self

    @property
    def definition(self) -> str:
        """What the points and slopes are."""
        inner = getattr(next(iter(self._metrics.values())), "definition", "")
        steps = ", ".join(map(str, self._metrics))
        return (
            f"{inner} At steps {steps} alone; slope: least squares over the steps, per step, with its 95 % t interval."
        )

    def describe(self, name: str) -> Described:
        """How a score stands in a report."""
        return Described(name, "plain", self.definition, None)


_TAKEN: OncePerTensor[dict[tuple[int, ...], Tensor]] = OncePerTensor(lambda _: {})


def _taken(pictures: Tensor, rows: list[int]) -> Tensor:
    """Some pictures of a batch, the same tensor for all curves, so that metrics share the work on it."""
    if not len(pictures):
        return pictures
    known = _TAKEN(pictures)
    if tuple(rows) not in known:
        known[tuple(rows)] = pictures[rows]
    return known[tuple(rows)]


def _slopes(points: dict[int, dict[str, float]]) -> dict[str, float]:
    if len(points) < 3:
        return {}
    steps = torch.tensor(list(points), dtype=torch.float64)
    # Names hold counts, which may differ between steps.
    rows = [{_uncounted(name): (name, value) for name, value in row.items()} for row in points.values()]
    slopes = {}
    for key in rows[0]:
        if _is_beside(key) or not all(key in row for row in rows):
            continue
        names = [row[key][0] for row in rows]
        values = torch.tensor([row[key][1] for row in rows], dtype=torch.float64)
        interval = line_interval(values, steps)
        for what, value in interval._asdict().items():
            slopes[metric_name(names[-1], "slope" if what == "value" else f"slope_{what}")] = value
    return slopes


def _uncounted(name: str) -> str:
    """The name of a number without the count at its end."""
    return re.sub(r"\b(real-|beyond_real-)?n[0-9]+$", r"\1", name)


def _is_beside(name: str) -> bool:
    """Whether a number only says something about another one: a count, or a deviation."""
    return name.startswith("num_") or name.split(".")[0].endswith("_std")
