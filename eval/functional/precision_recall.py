"""Improved precision and recall of a set of features against another."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_CHUNK = 1024


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    """Of the generated features, how many lie where real ones lie."""
    recall: float
    """Of the real features, how many lie where generated ones lie."""


def precision_recall(
    generated: Float[Tensor, "n d"], real: Float[Tensor, "m d"], neighbourhood: int = 3
) -> PrecisionRecall:
    """Share of each set that lies inside the manifold of the other.

    The manifold of a set is the union of the balls around its features that reach to their k-th nearest neighbour.
    Distances are computed in blocks, so that memory grows with the larger set alone.

    Args:
        generated: features of generated pictures.
        real: features of real pictures.
        neighbourhood: k.

    Raises:
        ValueError: a set has no k-th neighbour.

    Source: Kynkaanniemi et al. 2019, arXiv:1904.06991.
    """
    smaller = min(len(generated), len(real))
    if not 1 <= neighbourhood < smaller:
        raise ValueError(
            f"neighbourhood must lie in [1, {smaller}), the pictures of the smaller set; got {neighbourhood}"
        )
    # In double precision and about their middle: cdist multiplies matrices, and far from zero float32 cancels.
    middle = real.double().mean(dim=0)
    generated, real = generated.double() - middle, real.double() - middle
    return PrecisionRecall(
        precision=_inside(generated, real, _radii(real, neighbourhood)).double().mean().item(),
        recall=_inside(real, generated, _radii(generated, neighbourhood)).double().mean().item(),
    )


def _radii(features: Float[Tensor, "n d"], neighbourhood: int) -> Float[Tensor, " n"]:
    # The nearest feature is the feature itself.
    return torch.cat(
        [torch.cdist(rows, features).kthvalue(neighbourhood + 1).values for rows in features.split(_CHUNK)]
    )


def _inside(
    features: Float[Tensor, "n d"], centres: Float[Tensor, "m d"], radii: Float[Tensor, " m"]
) -> Bool[Tensor, " n"]:
    return torch.cat([(torch.cdist(rows, centres) <= radii).any(dim=1) for rows in features.split(_CHUNK)])
