"""Learned perceptual distance from the feature maps of any backbone (no network here)."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

_EPSILON = 1e-8


def lpips_distance(
    layers: Sequence[Float[Tensor, "n _ _ _"]],
    other_layers: Sequence[Float[Tensor, "n _ _ _"]],
    weights: Sequence[Float[Tensor, " _"]] | None = None,
) -> Float[Tensor, " n"]:
    """Sum over layers of the weighted squared distance of unit feature vectors, averaged over places.

    Args:
        layers: feature maps ``(n, channels, h, w)`` of the first pictures, one tensor a layer.
        other_layers: likewise of the second pictures.
        weights: one weight per channel of every layer; absent: ``1 / channels``.

    Source: Zhang et al. 2018, arXiv:1801.03924.
    """
    distances = []
    for index, (one, other) in enumerate(zip(layers, other_layers, strict=True)):
        squared = (_unit(one) - _unit(other)).square()
        channels = squared.new_full((squared.shape[1],), 1 / squared.shape[1]) if weights is None else weights[index]
        distances.append((squared * channels.view(1, -1, 1, 1)).sum(dim=1).mean(dim=(1, 2)))
    return sum(distances[1:], start=distances[0])


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True) + _EPSILON).sqrt()
