"""Inception score from class logits, for any classifier."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class InceptionScore(NamedTuple):
    """Mean and spread of the score over the splits."""

    mean: float
    std: float


def score_from_sums(probabilities: Float[Tensor, " c"], negative_entropy: Float[Tensor, ""], num_images: int) -> float:
    """Exponential of the mean KL divergence between each image's class distribution and that of all.

    It is 1 when all images get the same distribution and C when C classes are predicted with certainty and equally
    often. It needs many images: with n images it cannot exceed n.

    Args:
        probabilities: class probabilities, summed over the images.
        negative_entropy: ``p log p``, summed over classes and images.
        num_images: how many there are.

    Source: Salimans et al. 2016, arXiv:1606.03498.
    """
    marginal = probabilities / num_images
    divergence = negative_entropy / num_images - torch.xlogy(marginal, marginal).sum()
    return float(divergence.exp())


def grouped_score(
    probabilities: Float[Tensor, "b c"],
    negative_entropies: Float[Tensor, " b"],
    counts: Float[Tensor, " b"],
    splits: int,
) -> InceptionScore:
    """Inception score from the totals of many small groups, joined into splits of nearly equal size.

    Groups stay in their order, so that the caller decides (by sample key) what lies together; nothing is shuffled here.
    Split ``i`` of n images ends before image ``(i + 1) * n // splits``, to within half a group: with one image a group
    this is the rule of torch-fidelity's ``isc_features_to_metric``.

    Args:
        probabilities: summed class probabilities of each group.
        negative_entropies: summed ``p log p`` of each group.
        counts: images in each group.
        splits: over how many parts mean and spread are taken.

    Raises:
        ValueError: fewer images than splits, or groups so large that a split stays empty.
    """
    counts = counts.long()
    num_images = int(counts.sum())
    if not 1 <= splits <= num_images:
        raise ValueError(f"splits must lie in [1, {num_images}], the number of images; got {splits}")
    middle = counts.cumsum(dim=0) - counts + (counts - 1).clamp_min(0) // 2
    split = ((middle + 1) * splits - 1) // num_images
    scores = []
    for index in range(splits):
        part = (split == index) & (counts > 0)
        if not part.any():
            raise ValueError(f"split {index} of {splits} holds none of {num_images} images; ask for fewer splits")
        scores.append(
            score_from_sums(probabilities[part].sum(dim=0), negative_entropies[part].sum(), int(counts[part].sum()))
        )
    values = torch.tensor(scores, dtype=torch.float64)
    return InceptionScore(float(values.mean()), float(values.std(unbiased=False)))
