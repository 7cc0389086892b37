"""Muon for the hidden weights, AdamW for the rest: fewer steps for the same loss than AdamW alone on small networks.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". ``torch.optim.Muon`` takes
matrices only, so convolutions would be left out; here a kernel ``(out, in, h, w)`` is a matrix ``(out, in * h * w)``.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration that pushes singular values towards 1."""


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix, roughly: singular values end between 0.7 and 1.2. ``(m, n)`` to ``(m, n)``."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16() / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix updates are orthogonalised; the update of a matrix has the RMS that AdamW's would have."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Update every weight once."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                nesterov = weight.grad.lerp(momentum, group["momentum"]).flatten(1)
                update = orthogonalise(nesterov) * (0.2 * max(nesterov.shape) ** 0.5)
                weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.view_as(weight), alpha=group["lr"])


def hidden_and_other(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the trainable weights: matrices and kernels of hidden layers for Muon; embeddings and vectors for AdamW."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    hidden, other = [], []
    for parameter in model.parameters():
        if parameter.requires_grad:
            is_hidden = parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= 8 and id(parameter) not in tables
            (hidden if is_hidden else other).append(parameter)
    return hidden, other
