"""One feature per token from all the hidden states of a decoder-only language model.

Letters: S states (embeddings, then every layer), B batch, M tokens, E width.

A study of 27 language models in text-to-image training found the mean of all states better than the last, and the mean
of layer-normalised states better still (arXiv:2506.08210).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy, layer_norm, normalize

from lit_outpaint.models.language import LayerRule


def pick_layers(
    states: Float[Tensor, "s b m e"], rule: LayerRule, layer: int = -1, weights: Sequence[float] = ()
) -> Float[Tensor, "b m e"]:
    """Combine hidden states.

    Args:
        states: of the embeddings and of every layer, in order.
        rule: last; one (``layer``); mean; norm_mean, the mean of states that were layer-normalised; weighted, their sum
            by ``weights``.
        layer: which state is taken, for the rule one; negative counts from the end.
        weights: one per state, for the rule weighted.

    Raises:
        ValueError: there is no such layer, or the weights are not one per state.
    """
    if rule == "last":
        return states[-1]
    if rule == "one":
        if not -len(states) <= layer < len(states):
            raise ValueError(f"layer must be one of {len(states)} states (0 = embeddings), got {layer}")
        return states[layer]
    if rule == "mean":
        return states.mean(dim=0)
    normalised = layer_norm(states, states.shape[-1:])
    if rule == "norm_mean":
        return normalised.mean(dim=0)
    if len(weights) != len(states):
        raise ValueError(f"layer_weights must be one per state ({len(states)}), got {len(weights)}")
    return torch.einsum("s,sbme->bme", torch.as_tensor(weights, dtype=states.dtype, device=states.device), normalised)


def learn_layer_weights(
    first: Float[Tensor, "s b m e"],
    second: Float[Tensor, "s b m e"],
    first_mask: Bool[Tensor, "b m"],
    second_mask: Bool[Tensor, "b m"],
    steps: int = 200,
    lr: float = 0.05,
) -> list[float]:
    """Weights of the layers by which paraphrases find each other best; positive, they sum to 1.

    They are learnt on captions alone, before any picture, and stand in the configuration from then on.

    Args:
        first: hidden states of captions.
        second: of another wording of each.
        first_mask: False where padded.
        second_mask: the same of ``second``.
        steps: of Adam on the logits of the weights.
        lr: its learning rate.
    """
    pooled = [
        (layer_norm(states, states.shape[-1:]) * mask[..., None]).sum(dim=2) / mask.sum(dim=1)[:, None]
        for states, mask in ((first, first_mask), (second, second_mask))
    ]
    logits = torch.zeros(len(first), requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=lr)
    target = torch.arange(first.shape[1])
    for _ in range(steps):
        a, b = (normalize(torch.einsum("s,sbe->be", logits.softmax(dim=0), vectors), dim=1) for vectors in pooled)
        similar = 20 * a @ b.T
        optimizer.zero_grad()
        (cross_entropy(similar, target) + cross_entropy(similar.T, target)).backward()
        optimizer.step()
    return logits.detach().softmax(dim=0).tolist()
