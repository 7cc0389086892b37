"""The entity-guided loss: where a word of colour looks, the thing that has the colour should look, too.

For layer k and an attribute a of an entity e, let ``A_a`` be the attention that positions of the feature map pay to the
tokens of a, averaged over heads and tokens and scaled to sum 1 over positions, and ``A_e`` the same of e:

    L = mean over layers k and pairs (a, e) of D(A_a, A_e)

The authors published neither formula nor weight (LLM4GEN, arXiv:2407.00737, second version); this is the form that
readers describe, with what is unknown left to the configuration.

Letters: B batch, N positions of a layer, R context rows, P pairs of the sample that has most.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

Distance = Literal["cosine", "kl", "l2"]

TokenPair = tuple[Sequence[int], Sequence[int]]
"""Context rows of an attribute, and of its entity."""

_TINY = 1e-12


def group_weights(
    pairs: Sequence[Sequence[TokenPair]], rows: int
) -> tuple[Float[Tensor, "b p {rows}"], Float[Tensor, "b p {rows}"]]:
    """Averages over the rows of attributes, and over those of entities; zeros where a sample has fewer pairs.

    Args:
        pairs: of each sample, rows of its attributes and entities; pairs with an empty side do not count.
        rows: R.
    """
    kept = [[pair for pair in sample if pair[0] and pair[1]] for sample in pairs]
    weights = torch.zeros(2, len(kept), max((len(sample) for sample in kept), default=0), rows)
    for b, sample in enumerate(kept):
        for p, pair in enumerate(sample):
            for side, group in enumerate(pair):
                weights[side, b, p, list(group)] = 1 / len(group)
    return weights[0], weights[1]


def entity_loss(
    maps: Mapping[str, Float[Tensor, "b heads _ r"]],
    attributes: Float[Tensor, "b p r"],
    entities: Float[Tensor, "b p r"],
    distance: Distance = "cosine",
) -> Float[Tensor, " b"]:
    """Penalty of each sample; 0 for one without pairs.

    Args:
        maps: attention weights of each layer that counts, over all context rows.
        attributes: from `group_weights`.
        entities: from `group_weights`.
        distance: between two maps that sum to 1.

    Raises:
        ValueError: no map is there.
    """
    if not maps:
        raise ValueError("the entity loss needs the attention maps of at least one layer, got none")
    there = attributes.any(dim=-1) & entities.any(dim=-1)
    total = torch.zeros((), device=attributes.device)
    for layer in maps.values():
        first, second = (_group_maps(layer, groups) for groups in (attributes, entities))
        total = total + _distances(first, second, distance).where(there, 0.0).sum(dim=-1)
    return total / (len(maps) * there.sum(dim=-1).clamp(min=1))


def _group_maps(layer: Float[Tensor, "b heads n r"], groups: Float[Tensor, "b p r"]) -> Float[Tensor, "b p n"]:
    """Where each group is attended from, scaled to sum 1 over positions."""
    mean = torch.einsum("bnr,bpr->bpn", layer.float().mean(dim=1), groups.float())
    return mean / mean.sum(dim=-1, keepdim=True).clamp(min=_TINY)


def _distances(
    first: Float[Tensor, "b p n"], second: Float[Tensor, "b p n"], distance: Distance
) -> Float[Tensor, "b p"]:
    if distance == "cosine":
        # Values of the order of 1 / N, scaled so that the guard against zero norms does not show.
        return 1 - cosine_similarity(first * first.shape[-1], second * second.shape[-1], dim=-1)
    if distance == "l2":
        return (first - second).square().sum(dim=-1) * first.shape[-1]
    logs = first.clamp(min=_TINY).log() - second.clamp(min=_TINY).log()
    return ((first - second) * logs).sum(dim=-1) / 2
