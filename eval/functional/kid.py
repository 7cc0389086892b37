"""Kernel inception distance: the unbiased squared maximum mean discrepancy of a polynomial kernel."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class KernelDistance(NamedTuple):
    """Mean and spread over the subsets."""

    mean: float
    std: float


def polynomial_mmd(
    one: Float[Tensor, "n d"], other: Float[Tensor, "n d"], degree: int = 3, coef0: float = 1.0
) -> float:
    """Unbiased estimate for two sets of equal size with the kernel ``(x . y / d + coef0) ** degree``.

    It may fall below 0 for sets that are alike.

    Source: Binkowski et al. 2018, arXiv:1801.01401.
    """
    count = len(one)
    # Three sums of cubes that nearly cancel: in float32 the kernel's own rounding would be seen.
    one, other = one.double(), other.double()

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        return (left @ right.T).div_(left.shape[1]).add_(coef0).pow_(degree)

    def others(gram: Tensor) -> Tensor:
        return gram.sum() - gram.diagonal().sum()

    within = (others(kernel(one, one)) + others(kernel(other, other))) / (count * (count - 1))
    between = kernel(one, other).sum() / count**2
    return float(within - 2 * between)


def kernel_distance(
    one: Float[Tensor, "n d"],
    other: Float[Tensor, "m d"],
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
) -> KernelDistance:
    """KID over random subsets of two sets.

    Args:
        one: features in an order that does not depend on their arrival.
        other: likewise.
        subsets: how many pairs of subsets are drawn.
        subset_size: features in each, drawn without replacement.
        seed: of the drawing; the same draws as in torch-fidelity for the same seed.

    Raises:
        ValueError: a set is smaller than a subset, or a subset smaller than two.
    """
    smaller = min(len(one), len(other))
    if not 2 <= subset_size <= smaller:
        raise ValueError(f"subset_size must lie in [2, {smaller}], the pictures of the smaller set; got {subset_size}")
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        left = torch.from_numpy(rng.choice(len(one), subset_size, replace=False))
        right = torch.from_numpy(rng.choice(len(other), subset_size, replace=False))
        values.append(polynomial_mmd(one[left.to(one.device)], other[right.to(other.device)]))
    return KernelDistance(float(np.mean(values)), float(np.std(values)))
