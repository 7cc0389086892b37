"""Frechet inception distance with running sums."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eval.extractors import FeatureExtractor, find_extractor, weights_of
from eval.functional.frechet import Moments, frechet_distance, moments
from eval.metrics.base import SIDES, TwoSetMetric, metric_name
from lit_outpaint.protocols import NotComputable, SampleId, View


class FrechetSums(TwoSetMetric):
    """Sums of several pairs of sets, for FID and its kin.

    Args:
        extractor: makes the features.
        view: what is compared.
        num_sets: pairs of sets.
    """

    def __init__(self, extractor: str | FeatureExtractor, view: View, num_sets: int) -> None:
        super().__init__()
        self.extractor = find_extractor(extractor)
        self.view, self.num_sets = view, num_sets
        width = self.extractor.num_features
        for side in SIDES:
            for what, shape in (("num", ()), ("total", (width,)), ("products", (width, width))):
                zeros = torch.zeros(num_sets, *shape, dtype=torch.float64)
                self.add_state(f"{side}_{what}", zeros, dist_reduce_fx="sum")

    def add(self, side: str, index: int, pictures: Tensor) -> None:
        """Add pictures to one set of one side."""
        sums = moments(self.extractor.extract(pictures).pooled)
        for what, value in sums._asdict().items():
            getattr(self, f"{side}_{what}")[index] += value.to(self.device)

    def distance(self, index: int) -> float:
        """Frechet distance of one pair.

        Raises:
            NotComputable: a set is too small.
        """
        generated, real = (
            Moments(*(getattr(self, f"{side}_{what}")[index] for what in Moments._fields)) for side in SIDES
        )
        try:
            return frechet_distance(generated, real)
        except ValueError as error:
            raise NotComputable(f"the Frechet distance cannot be computed: {error}") from error

    def counts(self) -> str:
        """Pictures of both sides, over all sets, for names."""
        generated, real = (int(getattr(self, f"{side}_num").sum()) for side in SIDES)
        return f"n{generated}-{real}"

    @property
    def reference_key(self) -> str:
        """What the state of the real side depends on besides the pictures."""
        return f"sums/{self.extractor.name}/{weights_of(self.extractor)}/{self.view}"


class FID(FrechetSums):
    """Frechet inception distance between generated and real pictures.

    Args:
        extractor: makes the features.
        view: what is compared.
    """

    def __init__(self, extractor: str | FeatureExtractor = "inception", view: View = "window") -> None:
        super().__init__(extractor, view, num_sets=1)

    def take(self, side: str, pictures: Tensor, samples: Sequence[SampleId]) -> None:
        """Take in pictures of one side."""
        self.add(side, 0, pictures)

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        return {metric_name("fid", self.view, self.extractor.name, self.counts()): self.distance(0)}

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"Squared Frechet distance of the Gaussians of {self.extractor.name} features of each {self.view}, "
            "generated against real; sums in float64. Compare only values with equal counts."
        )
