import torch
from torch.nn.functional import mse_loss

from lit_outpaint.diffusion.loss import LossRegion, region_weights, weighted_mse


def _half_mask() -> torch.Tensor:
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 32:] = 1
    return mask


def _loss(pred: torch.Tensor, target: torch.Tensor, region: LossRegion, known_weight: float = 0.1) -> torch.Tensor:
    return weighted_mse(pred, target, region_weights(_half_mask(), region, known_weight, (8, 8)), torch.ones(2)).mean()


def test_full_region_is_the_plain_mean_squared_error() -> None:
    pred, target = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(_loss(pred, target, "full"), mse_loss(pred, target))


def test_known_region_has_no_gradient_under_masked() -> None:
    pred = torch.randn(2, 4, 8, 8, requires_grad=True)
    _loss(pred, torch.zeros(2, 4, 8, 8), "masked").backward()
    assert pred.grad is not None
    assert (pred.grad[..., :4] == 0).all()
    assert (pred.grad[..., 4:] != 0).all()


def test_masked_region_is_the_error_of_the_generated_half() -> None:
    pred, target = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(_loss(pred, target, "masked"), mse_loss(pred[..., 4:], target[..., 4:]))


def test_known_cells_count_by_their_weight() -> None:
    pred = torch.randn(2, 4, 8, 8, requires_grad=True)
    _loss(pred, torch.zeros(2, 4, 8, 8), "weighted", known_weight=0.25).backward()
    assert pred.grad is not None
    strength = (pred.grad / pred).detach()
    torch.testing.assert_close(strength[..., :4] / strength[..., 4:], torch.full((2, 4, 8, 4), 0.25))


def test_samples_count_by_their_weight() -> None:
    pred, target, cells = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.ones(2, 1, 8, 8)
    losses = weighted_mse(pred, target, cells, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(losses, torch.stack([2 * mse_loss(pred[0], target[0]), torch.zeros(())]))
