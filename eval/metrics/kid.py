"""Kernel inception distance from a bounded pool."""

from eval.extractors import FeatureExtractor
from eval.functional.kid import kernel_distance
from eval.metrics.base import metric_name
from eval.metrics.pool import PooledMetric
from lit_outpaint.protocols import NotComputable, View


class KID(PooledMetric):
    """Kernel inception distance between generated and real pictures.

    Args:
        extractor: makes the features.
        subsets: how many pairs of subsets are drawn.
        subset_size: pictures in each.
        view: what is compared.
        max_samples: subsets are drawn from at most this many pictures of each set, those with the smallest key hashes.
        seed: of hashes and subsets.
    """

    def __init__(
        self,
        extractor: str | FeatureExtractor = "inception",
        subsets: int = 100,
        subset_size: int = 1000,
        view: View = "window",
        max_samples: int = 10_000,
        seed: int = 2020,
    ) -> None:
        super().__init__(extractor, view, max_samples, seed)
        if subsets < 1 or not 2 <= subset_size <= max_samples:
            raise ValueError(
                f"subsets must be positive and subset_size lie in [2, max_samples = {max_samples}], got {subsets} and "
                f"{subset_size}"
            )
        self.subsets, self.subset_size = subsets, subset_size

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        generated, real = self.pool("generated"), self.pool("reference")
        try:
            distance = kernel_distance(generated, real, self.subsets, self.subset_size, self.seed)
        except ValueError as error:
            raise NotComputable(f"KID cannot be computed: {error}") from error
        subsets = f"{self.subsets}x{self.subset_size}"
        parts = (self.view, self.extractor.name, subsets, f"n{len(generated)}-{len(real)}")
        return {metric_name("kid", *parts): distance.mean, metric_name("kid_std", *parts): distance.std}

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"Unbiased squared MMD with the cubic kernel on {self.extractor.name} features of each {self.view}, mean "
            f"and deviation over {self.subsets} subsets of {self.subset_size}, drawn from at most {self.max_samples} "
            "pictures of each set, those with the smallest key hashes."
        )
