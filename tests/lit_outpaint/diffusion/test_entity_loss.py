from typing import get_args

import pytest
import torch
from torch import Tensor

from lit_outpaint.diffusion.entity_loss import Distance, entity_loss, group_weights

PAIRS = [[([1], [2, 3]), ([4], [5])], [([2], [1])], []]
DISTANCES = get_args(Distance)


def _maps(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(3, 2, n, 7, dtype=torch.float64).softmax(dim=-1) for name, n in (("a", 16), ("b", 4))}


def _reference_loss(maps: dict[str, Tensor], distance: Distance) -> list[float]:
    """The definition, written out with loops over numbers."""
    losses = []
    for sample, pairs in enumerate(PAIRS):
        values = []
        for layer in maps.values():
            attention = layer[sample].mean(dim=0)
            for a, e in pairs:
                x, y = attention[:, a].mean(dim=1), attention[:, e].mean(dim=1)
                x, y = x / x.sum(), y / y.sum()
                cosine = 1 - (x @ y / (x.norm() * y.norm())).item()
                kl = ((x * (x / y).log()).sum() + (y * (y / x).log()).sum()).item() / 2
                l2 = ((x - y) ** 2).sum().item() * len(x)
                values.append({"cosine": cosine, "kl": kl, "l2": l2}[distance])
        losses.append(sum(values) / len(values) if values else 0.0)
    return losses


@pytest.mark.parametrize("distance", DISTANCES)
def test_it_is_the_mean_distance_over_layers_and_pairs(distance: Distance) -> None:
    loss = entity_loss(_maps(), *group_weights(PAIRS, 7), distance)
    assert loss.tolist() == pytest.approx(_reference_loss(_maps(), distance), abs=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_maps_cost_nothing_and_disjoint_ones_do(distance: Distance) -> None:
    layer = torch.zeros(1, 2, 16, 7)
    layer[:, :, :4, 1], layer[:, :, :4, 2] = 0.3, 0.1  # same places, other strength
    layer[:, :, 8:, 3] = 0.5
    same = entity_loss({"a": layer}, *group_weights([[([1], [2])]], 7), distance)
    apart = entity_loss({"a": layer}, *group_weights([[([1], [3])]], 7), distance)
    assert same.item() == pytest.approx(0, abs=1e-6)
    assert apart.item() > 0.9


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_agree_with_finite_differences(distance: Distance) -> None:
    attributes, entities = (part.double() for part in group_weights(PAIRS[:2], 7))
    logits = torch.randn(2, 2, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(given: Tensor) -> Tensor:
        return entity_loss({"a": given.softmax(dim=-1)}, attributes, entities, distance).sum()

    leaf = logits.clone().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad is not None
    direction = torch.randn(logits.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    # The loss works in float32, so that steps cannot be small.
    numeric = (loss(logits + 0.02 * direction) - loss(logits - 0.02 * direction)) / 0.04
    assert numeric.item() == pytest.approx((leaf.grad * direction).sum().item(), rel=0.01)


def test_a_sample_without_pairs_pulls_at_nothing() -> None:
    maps = {"a": torch.randn(1, 2, 9, 7).softmax(dim=-1).requires_grad_()}
    loss = entity_loss(maps, *group_weights([[]], 7))
    assert loss.tolist() == [0.0]
    assert entity_loss({"a": maps["a"]}, *group_weights([[([], [1])]], 7)).tolist() == [0.0]
