"""Precision and recall from a bounded pool."""

from eval.extractors import FeatureExtractor
from eval.functional.precision_recall import precision_recall
from eval.metrics.base import metric_name
from eval.metrics.pool import PooledMetric
from lit_outpaint.protocols import NotComputable, View


class PrecisionRecall(PooledMetric):
    """Improved precision and recall of generated against real pictures.

    Args:
        extractor: makes the features; published values rest on VGG16, so compare only values with equal names.
        neighbourhood: the ball around a picture reaches to its neighbour of this rank.
        view: what is compared.
        max_samples: at most this many pictures of each set, those with the smallest key hashes.
        seed: of the hashes.
    """

    def __init__(
        self,
        extractor: str | FeatureExtractor = "inception",
        neighbourhood: int = 3,
        view: View = "window",
        max_samples: int = 10_000,
        seed: int = 2020,
    ) -> None:
        super().__init__(extractor, view, max_samples, seed)
        if neighbourhood < 1:
            raise ValueError(f"neighbourhood must be at least 1, got {neighbourhood}")
        self.neighbourhood = neighbourhood

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        generated, real = self.pool("generated"), self.pool("reference")
        try:
            shares = precision_recall(generated, real, self.neighbourhood)
        except ValueError as error:
            raise NotComputable(f"precision and recall cannot be computed: {error}") from error
        parts = (self.view, self.extractor.name, f"k{self.neighbourhood}", f"n{len(generated)}-{len(real)}")
        return {metric_name("precision", *parts): shares.precision, metric_name("recall", *parts): shares.recall}

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"Share of generated (real) {self.extractor.name} features of each {self.view} that lie no farther from a "
            f"real (generated) one than its k-th neighbour among its like, k = {self.neighbourhood}; at most "
            f"{self.max_samples} of each set, those with the smallest key hashes."
        )
