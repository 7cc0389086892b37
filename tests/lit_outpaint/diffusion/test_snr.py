import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from lit_outpaint.diffusion.snr import min_snr_weights
from lit_outpaint.diffusion.targets import PredictionType


def _reference_weights(scheduler: DDPMScheduler, gamma: float, prediction_type: str) -> torch.Tensor:
    """The weights of diffusers' examples/text_to_image/train_text_to_image.py."""
    snr = compute_snr(scheduler, torch.arange(1000))
    weights = torch.stack([snr, gamma * torch.ones_like(snr)], dim=1).min(dim=1)[0]
    return weights / (snr + 1 if prediction_type == "v_prediction" else snr)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_weights_agree_with_the_diffusers_example(prediction_type: PredictionType) -> None:
    scheduler = DDPMScheduler(beta_schedule="scaled_linear")
    ours = min_snr_weights(scheduler.alphas_cumprod, 5.0, prediction_type)
    torch.testing.assert_close(ours, _reference_weights(scheduler, 5.0, prediction_type))


@pytest.mark.parametrize(("prediction_type", "last"), [("epsilon", 1.0), ("v_prediction", 0.0)])
def test_weights_stay_finite_at_zero_terminal_snr(prediction_type: PredictionType, last: float) -> None:
    a_bar = DDPMScheduler(beta_schedule="scaled_linear", rescale_betas_zero_snr=True).alphas_cumprod
    assert a_bar[-1] == 0
    weights = min_snr_weights(a_bar, 5.0, prediction_type)
    assert weights.isfinite().all()
    assert weights[-1] == last


def test_no_gamma_weights_all_timesteps_alike() -> None:
    assert min_snr_weights(torch.linspace(0.99, 0, 7), None, "epsilon").tolist() == [1.0] * 7


def test_gamma_must_be_positive() -> None:
    with pytest.raises(ValueError, match="snr_gamma must be positive"):
        min_snr_weights(torch.linspace(0.99, 0, 7), 0.0, "epsilon")
