"""The combined optimiser: Muon where it serves, AdamW everywhere else, nothing shared."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from lit_outpaint.training import muon
from lit_outpaint.training.muon import (
    NEWTON_SCHULZ,
    MuonAdamW,
    batches_of_one_shape,
    hidden_and_other,
    orthogonalise,
)


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 8, 3, padding=1))


def _optimiser(model: nn.Module, lr: float = 0.02) -> MuonAdamW:
    hidden, other = hidden_and_other(model)
    return MuonAdamW([{"params": hidden, "muon": True}, {"params": other}], lr)


def _step(model: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor) -> float:
    optimiser.zero_grad()
    loss = mse_loss(model(x), x)
    loss.backward()
    optimiser.step()
    return loss.item()


def _iterated(matrix: torch.Tensor) -> torch.Tensor:
    """The iteration as the source writes it."""
    a, b, c = NEWTON_SCHULZ
    x = matrix / matrix.norm()
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def test_orthogonalised_matrix_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((24, 80), (80, 24)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(3, *shape)))
        assert values.min() > 0.5
        assert values.max() < 1.3


@pytest.mark.parametrize("decades", [0, 4, 12])
def test_orthogonalised_matrices_are_those_of_the_iteration_in_double_precision(decades: int) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(2, 24, 80, dtype=torch.float64), full_matrices=False)
    matrices = left * torch.logspace(0, -decades, 24, dtype=torch.float64) @ right
    for made, matrix in zip(orthogonalise(matrices.float()), matrices, strict=True):
        truth = _iterated(matrix)
        assert (made - truth).norm() < 1e-3 * truth.norm()


def test_steps_are_those_of_torch_up_to_its_bfloat16() -> None:
    torch.manual_seed(0)
    weight = torch.randn(24, 80)
    mine, theirs = nn.Parameter(weight.clone()), nn.Parameter(weight.clone())
    rates = {"lr": 0.1, "weight_decay": 0.05}
    ours = MuonAdamW([{"params": [mine], "muon": True}], **rates)
    reference = torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **rates)
    for _ in range(3):
        mine.grad = torch.randn(24, 80)
        theirs.grad = mine.grad.clone()
        ours.step()
        reference.step()
    moved = (theirs - weight).norm()
    assert (mine - theirs).norm() < 0.03 * moved


def test_weights_of_one_shape_come_together_as_long_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "LARGEST_BATCH", 12)
    weights = [
        torch.full(shape, float(number)) for number, shape in enumerate([(2, 3), (3, 2), (2, 3), (2, 3), (5, 5)])
    ]
    batches = [[int(weight.flatten()[0]) for weight in batch] for batch in batches_of_one_shape(weights)]
    assert sorted(batches) == [[0, 2], [1], [3], [4]]


def test_kernels_are_hidden_and_vectors_and_embeddings_are_not() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(32, 16), "convolution": nn.Conv2d(8, 16, 3)})
    hidden, other = hidden_and_other(model)
    assert [p.shape for p in hidden] == [model["convolution"].weight.shape]
    assert {p.shape for p in other} == {model["embedding"].weight.shape, model["convolution"].bias.shape}


def test_unmarked_groups_step_exactly_as_adamw() -> None:
    mine, reference = _model(), _model()
    biases = [p for p in mine.parameters() if p.ndim == 1]
    optimiser = MuonAdamW([{"params": [p for p in mine.parameters() if p.ndim > 1]}, {"params": biases}], 1e-2)
    other = torch.optim.AdamW(reference.parameters(), 1e-2)
    x = torch.randn(4, 8, 6, 6)
    for _ in range(3):
        _step(mine, optimiser, x)
        _step(reference, other, x)
    for a, b in zip(mine.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_loss_falls_on_one_batch() -> None:
    x = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    model = _model()
    optimiser = _optimiser(model)
    losses = [_step(model, optimiser, x) for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]


def test_state_survives_a_round_trip() -> None:
    x = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(2))
    model = _model()
    optimiser = _optimiser(model)
    _step(model, optimiser, x)
    copy = _model()
    copy.load_state_dict(model.state_dict())
    resumed = _optimiser(copy)
    # A copy: loading keeps the tensors it is given, and both would then advance the same momentum.
    resumed.load_state_dict(deepcopy(optimiser.state_dict()))
    assert _step(model, optimiser, x) == _step(copy, resumed, x)
    for a, b in zip(model.parameters(), copy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_gradients_are_left_in_place() -> None:
    model = _model()
    _step(model, _optimiser(model), torch.randn(4, 8, 6, 6))
    assert all(p.grad is not None for p in model.parameters())
