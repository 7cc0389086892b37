"""A bounded pool of features that does not depend on the order of arrival."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from eval.extractors import FeatureExtractor, find_extractor, weights_of
from eval.functional.sampling import keep_smallest, key_hashes
from eval.metrics.base import SIDES, TwoSetMetric
from lit_outpaint.protocols import SampleId, View


class PooledMetric(TwoSetMetric):
    """Keeps the features of at most ``max_samples`` pictures of each set: those whose keys have the smallest hashes.

    They are a random sample without replacement of all pictures, the same for every order, batch size and number of
    ranks. Up to twice as many are held between two clearings.

    Args:
        extractor: makes the features.
        view: what is compared.
        max_samples: bound of the pool; memory is this times the width of the features, for each set.
        seed: of the hashes.
    """

    def __init__(self, extractor: str | FeatureExtractor, view: View, max_samples: int, seed: int) -> None:
        super().__init__()
        if max_samples < 2:
            raise ValueError(f"max_samples must be at least 2, got {max_samples}")
        self.extractor = find_extractor(extractor)
        self.view, self.max_samples, self.seed = view, max_samples, seed
        for side in SIDES:
            self.add_state(f"{side}_hashes", [], dist_reduce_fx="cat")
            self.add_state(f"{side}_rows", [], dist_reduce_fx="cat")
            self.add_state(f"{side}_seen", torch.tensor(0), dist_reduce_fx="sum")

    def take(self, side: str, pictures: Tensor, samples: Sequence[SampleId]) -> None:
        """Take in pictures of one side."""
        hashes, rows = getattr(self, f"{side}_hashes"), getattr(self, f"{side}_rows")
        hashes.append(key_hashes(samples, self.seed).to(self.device))
        rows.append(self.extractor.extract(pictures).pooled.to(self.device))
        setattr(self, f"{side}_seen", getattr(self, f"{side}_seen") + len(pictures))
        if sum(len(part) for part in hashes) > 2 * self.max_samples:
            kept_hashes, kept_rows = keep_smallest(torch.cat(hashes), torch.cat(rows), self.max_samples)
            hashes[:], rows[:] = [kept_hashes], [kept_rows]

    def pool(self, side: str) -> Tensor:
        """The features kept of one set, in the order of hashes."""
        hashes, rows = (self._joined(f"{side}_{what}") for what in ("hashes", "rows"))
        return keep_smallest(hashes, rows, self.max_samples)[1]

    @property
    def reference_key(self) -> str:
        """What the state of the real side depends on besides the pictures."""
        return f"pool/{self.extractor.name}/{weights_of(self.extractor)}/{self.view}/{self.max_samples}/{self.seed}"

    def _joined(self, name: str) -> Tensor:
        value = getattr(self, name)
        if isinstance(value, Tensor):
            return value
        if value:
            return torch.cat(value)
        if name.endswith("hashes"):
            return torch.empty(0, dtype=torch.int64, device=self.device)
        return torch.empty(0, self.extractor.num_features, device=self.device)

    def _sync_dist(self, dist_sync_fn: Any = gather_all_tensors, process_group: Any = None) -> None:
        # A rank without pictures gives empty tensors of the right shape; torchmetrics' own would have another type.
        for side in SIDES:
            for what in ("hashes", "rows"):
                setattr(self, f"{side}_{what}", [self._joined(f"{side}_{what}")])
        super()._sync_dist(dist_sync_fn, process_group)
