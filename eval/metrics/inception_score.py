"""Inception score with running sums."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eval.extractors import FeatureExtractor, find_extractor
from eval.functional.inception_score import grouped_score
from eval.functional.sampling import bucket_of, key_hashes
from eval.metrics.base import NamedMetric, metric_name
from lit_outpaint.protocols import NotComputable, SampleId, View

BUCKETS_PER_SPLIT = 64


class InceptionScore(NamedMetric):
    """Inception score of the generated pictures.

    Each picture falls by the hash of its key into one of ``64 * splits`` buckets, of which only sums are kept; at the
    end neighbouring buckets are joined into splits of nearly equal size. So the splits do not depend on the order of
    arrival, and memory does not depend on the number of pictures.

    Args:
        extractor: the classifier.
        splits: over how many parts mean and spread are taken.
        view: which pictures.
        seed: of the hashes.
    """

    probabilities: Tensor
    negative_entropies: Tensor
    counts: Tensor

    def __init__(
        self,
        extractor: str | FeatureExtractor = "inception",
        splits: int = 10,
        view: View = "window",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.extractor = find_extractor(extractor)
        classes = self.extractor.num_classes
        if classes is None:
            raise ValueError(f"the inception score needs a classifier, and {self.extractor.name} is none")
        if splits < 1:
            raise ValueError(f"splits must be at least 1, got {splits}")
        self.splits, self.view, self.seed = splits, view, seed
        buckets = splits * BUCKETS_PER_SPLIT
        self.add_state("probabilities", torch.zeros(buckets, classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("negative_entropies", torch.zeros(buckets, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(buckets, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch; the references are not looked at."""
        if not len(generated):
            return
        logits = self.extractor.extract(generated).logits
        assert logits is not None  # The constructor asked for a classifier.
        log_probabilities = logits.to(self.device).double().log_softmax(dim=1)
        probabilities = log_probabilities.exp()
        buckets = bucket_of(key_hashes(samples, self.seed), len(self.counts)).to(self.device)
        self.probabilities.index_add_(0, buckets, probabilities)
        self.negative_entropies.index_add_(0, buckets, (probabilities * log_probabilities).sum(dim=1))
        self.counts.index_add_(0, buckets, torch.ones_like(buckets))

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        try:
            score = grouped_score(self.probabilities, self.negative_entropies, self.counts, self.splits)
        except ValueError as error:
            raise NotComputable(f"the inception score cannot be computed: {error}") from error
        parts = (self.view, self.extractor.name, f"{self.splits}splits", f"n{int(self.counts.sum())}")
        spread = {metric_name("is_std", *parts): score.std} if self.splits > 1 else {}
        return {metric_name("is", *parts): score.mean, **spread}

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"Inception score of each {self.view} with {self.extractor.name}: exponential of the mean KL divergence "
            f"of class probabilities to their mean, mean and deviation over {self.splits} splits by the hash of the "
            "sample's key. Compare only values with equal counts and splits."
        )
