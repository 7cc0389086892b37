"""What all metrics share: names that say the definition, state that adds up over ranks, one line where nothing adds up.

A metric only accumulates; the mathematics is in ``eval.functional``.
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from eval.figures import Target, Unit
from lit_outpaint.protocols import CaptionOf, NotComputable, SampleId, View

SIDES = ("generated", "reference")


def metric_name(*parts: object) -> str:
    """A key such as ``fid.window.inception-v3-compat_tf1-bilinear-299.n512``."""
    return ".".join(str(part) for part in parts)


class Described(NamedTuple):
    """How one score of a metric stands in a report."""

    title: str
    unit: Unit
    definition: str
    target: Target | None


class Ratio(NamedTuple):
    """A score as a sum over another: hits out of questions, or the sum of a score over its pictures."""

    total: float
    num: float


class NamedMetric(Metric):
    """A torchmetrics metric that is an ``ImageMetric``."""

    is_differentiable = False
    full_state_update = False
    view: View = "window"
    caption: CaptionOf = "local"
    from_step = 1
    key_parts = 1
    """How many leading parts of its names tell its scores apart, for short keys."""
    side_by_side = False
    """Whether it scores the real pictures too, under names with ``real-``."""
    reads_captions = False
    """Whether it compares pictures with captions, so that without them there is nothing to score."""

    @property
    @abstractmethod
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""

    def describe(self, name: str) -> Described:
        """How a score stands in a report: under its name, which says its definition."""
        return Described(name, "plain", self.definition, None)

    def absent(self) -> dict[str, str]:
        """Scores that there is nothing to compute from although others are there, with the reason."""
        return {}

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        wrapped = super()._wrap_compute(compute)

        def computed(*args: Any, **kwargs: Any) -> Any:
            try:
                with warnings.catch_warnings():
                    # A rank without pictures is no mistake.
                    warnings.filterwarnings("ignore", message=".*was called before the ``update`` method")
                    return wrapped(*args, **kwargs)
            except NotComputable:
                # torchmetrics would keep the sums of all ranks in the place of this rank's own.
                if self._is_synced:
                    self.unsync()
                raise

        return computed


class RatioMetric(NamedMetric):
    """A metric whose scores are sums over sums, so that whole panoramas can be redrawn for intervals, and paired."""

    @abstractmethod
    def ratios(self) -> Mapping[str, Ratio]:
        """What makes up each score of ``compute``, by its name; those of nothing are left out."""


class TwoSetMetric(NamedMetric):
    """Compares a set of generated pictures with a set of real ones.

    States of a side are named ``SIDE_...``, so that those of the real side can be stored and used again.
    """

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch."""
        for side, pictures in zip(SIDES, (generated, reference), strict=True):
            if len(pictures):
                self.take(side, pictures, samples)

    @abstractmethod
    def take(self, side: str, pictures: Tensor, samples: Sequence[SampleId]) -> None:
        """Take in pictures of one side."""

    @property
    @abstractmethod
    def reference_key(self) -> str:
        """Everything besides the pictures that the state of the real side depends on."""

    def reference_state(self) -> dict[str, Tensor]:
        """The state of the real side on this rank, to be stored."""
        state = {name: getattr(self, name) for name in self._defaults if name.startswith("reference_")}
        return {
            name: (torch.cat(value) if value else torch.empty(0)) if isinstance(value, list) else value
            for name, value in state.items()
        }

    def load_reference_state(self, state: dict[str, Tensor]) -> None:
        """Take over what ``reference_state`` gave, instead of the real pictures."""
        for name, value in state.items():
            mine = getattr(self, name)
            setattr(self, name, [value.to(self.device)] if isinstance(mine, list) else value.to(self.device))
