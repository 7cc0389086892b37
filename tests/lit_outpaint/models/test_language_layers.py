import pytest
import torch
from torch import Tensor

from lit_outpaint.models.language_layers import learn_layer_weights, pick_layers


def _states() -> Tensor:
    return torch.randn(4, 2, 5, 8, generator=torch.Generator().manual_seed(0))


def test_one_layer_is_that_layer() -> None:
    states = _states()
    assert torch.equal(pick_layers(states, "last"), states[3])
    assert torch.equal(pick_layers(states, "one", layer=1), states[1])
    assert torch.equal(pick_layers(states, "one", layer=-4), states[0])
    with pytest.raises(ValueError, match="layer must be one of 4 states"):
        pick_layers(states, "one", layer=4)


def test_the_mean_follows_the_largest_layer_and_the_normalised_mean_does_not() -> None:
    states = _states()
    states[2] *= 1000
    torch.testing.assert_close(pick_layers(states, "mean"), states[2] / 4, rtol=0.1, atol=3)
    whole = pick_layers(states, "norm_mean")
    states[2] /= 1000
    torch.testing.assert_close(pick_layers(states, "norm_mean"), whole, rtol=1e-4, atol=1e-4)
    assert whole.std() < 1


def test_equal_weights_are_the_normalised_mean() -> None:
    states = _states()
    weighted = pick_layers(states, "weighted", weights=[0.25] * 4)
    torch.testing.assert_close(weighted, pick_layers(states, "norm_mean"))
    with pytest.raises(ValueError, match="layer_weights"):
        pick_layers(states, "weighted", weights=[1.0])


def test_the_layer_that_knows_paraphrases_gets_the_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    meaning = torch.randn(12, 1, 8, generator=generator).expand(12, 5, 8)
    noise = [torch.randn(3, 12, 5, 8, generator=generator) for _ in range(2)]
    first, second = (torch.stack([part[0], meaning + 0.1 * part[1], part[2]]) for part in noise)
    mask = torch.ones(12, 5, dtype=torch.bool)
    weights = learn_layer_weights(first, second, mask, mask, steps=60)
    assert sum(weights) == pytest.approx(1)
    assert weights[1] > 0.6
