import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from lit_outpaint.diffusion.guidance import guide


def test_scale_of_one_is_the_conditional_prediction() -> None:
    unconditional, conditional = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(guide(unconditional, conditional, 1.0), conditional)


def test_scale_of_zero_is_the_unconditional_prediction() -> None:
    unconditional, conditional = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(guide(unconditional, conditional, 0.0), unconditional)


def test_rescaling_agrees_with_diffusers() -> None:
    unconditional, conditional = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    plain = unconditional + 7.5 * (conditional - unconditional)
    reference = rescale_noise_cfg(plain, conditional, guidance_rescale=0.7)
    torch.testing.assert_close(guide(unconditional, conditional, 7.5, rescale=0.7), reference)
