"""CLIP similarity and retrieval from features (no network here)."""

import torch
from jaxtyping import Float
from torch import Tensor


def clip_sim(
    image_features: Float[Tensor, "n d"],
    text_features: Float[Tensor, "n d"],
) -> Float[Tensor, " n"]:
    """Cosine between row i of the images and row i of the texts, in [-1, 1] (not scaled, not clipped at 0).

    Raises:
        ValueError: the two differ in shape.
    """
    if image_features.shape != text_features.shape:
        raise ValueError(
            f"image and text features must pair up row by row, got {tuple(image_features.shape)} and "
            f"{tuple(text_features.shape)}"
        )
    return torch.nn.functional.cosine_similarity(image_features.double(), text_features.double(), dim=-1).float()


def retrieval_top1(
    image_features: Float[Tensor, "n d"],
    text_features: Float[Tensor, "n d"],
) -> Float[Tensor, " n"]:
    """1 where the caption nearest to image i among all n captions is caption i, else 0.

    Ties count as misses, so that a model that maps everything onto one point scores 0 instead of winning by order.
    """
    images = torch.nn.functional.normalize(image_features.double(), dim=-1)
    texts = torch.nn.functional.normalize(text_features.double(), dim=-1)
    similarity = images @ texts.T
    own = similarity.diagonal()
    others = similarity.masked_fill(torch.eye(len(own), dtype=torch.bool, device=own.device), -torch.inf)
    return (own > others.amax(dim=1)).float()
