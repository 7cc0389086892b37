import pytest
import torch
from diffusers import DDPMScheduler
from jaxtyping import TypeCheckError
from torch import Tensor

from lit_outpaint.diffusion.targets import add_noise, training_target, velocity


def _reference_scheduler(zero_snr: bool) -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="scaled_linear", rescale_betas_zero_snr=zero_snr)


def _draw() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(4, 4, 8, 8), torch.randn(4, 4, 8, 8), torch.tensor([0, 17, 500, 999])


@pytest.mark.parametrize("zero_snr", [False, True])
def test_noising_agrees_with_diffusers(zero_snr: bool) -> None:
    latents, noise, timesteps = _draw()
    scheduler = _reference_scheduler(zero_snr)
    ours = add_noise(latents, noise, timesteps, scheduler.alphas_cumprod)
    torch.testing.assert_close(ours, scheduler.add_noise(latents, noise, timesteps))


@pytest.mark.parametrize("zero_snr", [False, True])
def test_velocity_agrees_with_diffusers(zero_snr: bool) -> None:
    latents, noise, timesteps = _draw()
    scheduler = _reference_scheduler(zero_snr)
    ours = velocity(latents, noise, timesteps, scheduler.alphas_cumprod)
    torch.testing.assert_close(ours, scheduler.get_velocity(latents, noise, timesteps))


def test_velocity_is_noise_when_signal_is_full() -> None:
    latents, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    v = velocity(latents, noise, torch.tensor([0, 0]), alphas_cumprod=torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(v, noise)


def test_last_step_of_zero_terminal_snr_is_pure_noise() -> None:
    latents, noise, _ = _draw()
    a_bar = _reference_scheduler(zero_snr=True).alphas_cumprod
    last = torch.full((4,), 999)
    torch.testing.assert_close(add_noise(latents, noise, last, a_bar), noise)
    torch.testing.assert_close(velocity(latents, noise, last, a_bar), -latents)


def test_noise_of_another_shape_is_refused() -> None:
    latents, noise, timesteps = _draw()
    # While shapes are checked at run time, the annotation speaks first.
    with pytest.raises((ValueError, TypeCheckError), match="noise"):
        add_noise(latents, noise[:1], timesteps, torch.linspace(1, 0, 1000))


def test_target_follows_the_prediction_type() -> None:
    latents, noise, timesteps = _draw()
    a_bar = torch.linspace(1, 0, 1000)
    assert training_target("epsilon", latents, noise, timesteps, a_bar) is noise
    v = training_target("v_prediction", latents, noise, timesteps, a_bar)
    torch.testing.assert_close(v, velocity(latents, noise, timesteps, a_bar))
