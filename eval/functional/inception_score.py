"""Inception score from class logits, for any classifier."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class InceptionScore(NamedTuple):
    """Mean and spread of the score over the splits."""

    mean: float
    std: float


def inception_score(logits: Float[Tensor, "n c"], splits: int = 1) -> InceptionScore:
    """Exponential of the mean KL divergence between each class distribution and that of its split.

    Splits are contiguous in the order given, so that the caller decides (by sample key) what lies together; nothing is
    shuffled here. The score is 1 when all images get the same distribution and C when C classes are predicted with
    certainty and equally often. It needs many images: with n images it cannot exceed n.

    Args:
        logits: unnormalised class scores, one row per image.
        splits: number of contiguous parts; the spread is over them.

    Raises:
        ValueError: fewer images than splits, or splits below 1.

    Source: Salimans et al. 2016, arXiv:1606.03498; split rule as in torch-fidelity's ``isc_features_to_metric``.
    """
    num_images = len(logits)
    if not 1 <= splits <= num_images:
        raise ValueError(f"splits must lie in [1, {num_images}], the number of images; got {splits}")
    scores = []
    for index in range(splits):
        part = logits[index * num_images // splits : (index + 1) * num_images // splits].double()
        scores.append(score_from_sums(*probability_sums(part)[:2], len(part)))
    values = torch.tensor(scores, dtype=torch.float64)
    return InceptionScore(float(values.mean()), float(values.std(unbiased=False)))


def probability_sums(logits: Float[Tensor, "n c"]) -> tuple[Float[Tensor, " c"], Float[Tensor, ""], int]:
    """What a set of images adds to the score: summed probabilities, summed ``p log p``, and the number of images.

    Sums of disjoint sets add up, which makes resampling (and running totals) cheap.
    """
    log_probabilities = logits.double().log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    return probabilities.sum(dim=0), (probabilities * log_probabilities).sum(), len(logits)


def score_from_sums(probabilities: Float[Tensor, " c"], negative_entropy: Float[Tensor, ""], num_images: int) -> float:
    """Inception score of one split from the totals of ``probability_sums``."""
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

    Groups stay in their order. A split ends where ``inception_score`` would end it, to within half a group; with one
    image a group the two are equal.

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
