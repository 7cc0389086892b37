import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

from lit_outpaint.canvas.geometry import DIRECTIONS, Direction
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.diffusion.known_latents import KnownSide, blend_known, keep_weights


def test_the_feather_rises_by_even_steps_from_the_joint_into_the_known_side() -> None:
    mask = torch.zeros(1, 1, 3, 6)
    mask[..., 4:] = 1
    torch.testing.assert_close(keep_weights(mask, 1)[0, 0], 1 - mask[0, 0])
    expected = torch.tensor([1.0, 1.0, 2 / 3, 1 / 3, 0.0, 0.0]).expand(3, 6)
    torch.testing.assert_close(keep_weights(mask, 3)[0, 0], expected)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_new_cells_keep_nothing_whatever_the_direction(direction: Direction) -> None:
    mask = outpaint_mask(direction, 0.25, 64, 64)[None, :, ::8, ::8]
    weights = keep_weights(mask, 4)
    assert (weights[mask == 1] == 0).all()
    assert (weights[mask == 0] > 0).all()
    assert weights.max() == 1


def test_a_feather_of_no_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        keep_weights(torch.zeros(1, 1, 2, 2), 0)


@pytest.mark.parametrize("scheduler_class", [DDIMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_at_every_level_the_known_cells_are_the_known_latents_noised_to_it(scheduler_class: type) -> None:
    scheduler = scheduler_class(num_train_timesteps=100)
    scheduler.set_timesteps(5)
    generator = torch.Generator().manual_seed(0)
    noise, clean, new = torch.randn(3, 1, 4, 4, 4, generator=generator).unbind()
    known = KnownSide(clean, (torch.arange(4) < 2).float().expand(1, 1, 4, 4))
    state = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        blended = blend_known(scheduler.scale_model_input(state, timestep), timestep, known, noise, scheduler)
        expected = scheduler.scale_model_input(scheduler.add_noise(clean, noise, timestep[None]), timestep)
        torch.testing.assert_close(blended[..., :2], expected[..., :2])
        torch.testing.assert_close(blended[..., 2:], scheduler.scale_model_input(state, timestep)[..., 2:])
        state = scheduler.step(new, timestep, state, return_dict=False)[0]
