import torch
from diffusers import DDIMScheduler

from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.diffusion.targets import velocity


def test_a_perfect_model_recovers_the_latents() -> None:
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )
    latents, noise = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)

    def perfect(noisy_latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        a_bar = scheduler.alphas_cumprod[timestep]
        hidden_noise = (noisy_latents - a_bar.sqrt() * latents) / (1 - a_bar).sqrt()
        return velocity(latents, hidden_noise, timestep[None], scheduler.alphas_cumprod)

    torch.testing.assert_close(denoise(perfect, noise, scheduler, 10), latents, atol=1e-4, rtol=0)
