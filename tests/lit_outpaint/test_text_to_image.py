from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline
from PIL import Image

from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.testing.models import TOY_WINDOW_PX
from lit_outpaint.text_to_image import TextToImagePipeline, load_text_to_image

PROMPTS = ["a lake", "a meadow with a red barn", "a desert"]
THREE_STEPS = Sampling(num_inference_steps=3)


@pytest.fixture(scope="module")
def pipeline(toy_family: Path) -> TextToImagePipeline:
    return load_text_to_image(toy_family)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(100 + number) for number in range(count)]


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("size", [(TOY_WINDOW_PX, TOY_WINDOW_PX), (40, 72)])
def test_a_family_draws_what_stock_diffusers_draws_with_it(
    pipeline: TextToImagePipeline, toy_family: Path, guidance_scale: float, size: tuple[int, int]
) -> None:
    stock = StableDiffusionPipeline.from_pretrained(toy_family, safety_checker=None, feature_extractor=None)
    stock.set_progress_bar_config(disable=True)
    drawn = stock(
        PROMPTS[:2],
        height=size[0],
        width=size[1],
        num_inference_steps=3,
        guidance_scale=guidance_scale,
        negative_prompt=["a town", "a town"],
        generator=generators(2),
        output_type="pt",
    ).images
    ours = pipeline.draw(
        PROMPTS[:2],
        sampling=Sampling(num_inference_steps=3, guidance_scale=guidance_scale),
        generator=generators(2),
        size=size,
        negative_prompts=["a town", "a town"],
    )
    torch.testing.assert_close(ours, drawn * 2 - 1, atol=1e-4, rtol=0)
    assert ours.std() > 0.01


def test_a_picture_does_not_depend_on_its_batch(pipeline: TextToImagePipeline) -> None:
    together = pipeline.draw(PROMPTS * 3, sampling=THREE_STEPS, generator=generators(9))
    for number in (0, 4, 8):
        alone = pipeline.draw([(PROMPTS * 3)[number]], sampling=THREE_STEPS, generator=[generators(9)[number]])
        torch.testing.assert_close(alone[0], together[number], atol=1e-4, rtol=0)
    assert (together[0] - together[3]).abs().max() > 0.01


def test_a_call_takes_and_gives_what_users_of_diffusers_expect(pipeline: TextToImagePipeline) -> None:
    seen: list[tuple[int, torch.Size]] = []

    def note(pipe: object, step: int, timestep: object, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        assert pipe is pipeline
        seen.append((step, tensors["latents"].shape))
        return tensors

    options = {"num_inference_steps": 2, "height": 64, "width": 64}
    images = pipeline("a lake", **options, num_images_per_prompt=2, callback_on_step_end=note).images
    assert [type(image) for image in images] == [Image.Image] * 2
    assert seen == [(0, (2, 4, 8, 8)), (1, (2, 4, 8, 8))]
    (arrays,) = pipeline("a lake", **options, output_type="np", return_dict=False, generator=generators(1))
    again = pipeline("a lake", **options, output_type="pt", generator=generators(1)).images
    np.testing.assert_allclose(arrays[0], again[0].permute(1, 2, 0).numpy(), atol=1e-6)
    assert arrays.shape == (1, 64, 64, 3)


def test_a_callback_can_interrupt_and_change_latents(pipeline: TextToImagePipeline) -> None:
    steps: list[int] = []

    def stop(pipe: TextToImagePipeline, step: int, timestep: object, tensors: dict) -> dict:
        steps.append(step)
        pipe._interrupt = True
        return {"latents": torch.zeros_like(tensors["latents"])}

    stopped = pipeline("a lake", num_inference_steps=5, output_type="pt", callback_on_step_end=stop).images
    assert steps == [0]
    blank = (pipeline.encoders.decode(torch.zeros(1, 4, 8, 8)) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(stopped, blank)


def test_given_latents_are_the_noise(pipeline: TextToImagePipeline) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(100))
    given = pipeline("a lake", num_inference_steps=3, latents=noise, output_type="pt").images
    drawn = pipeline("a lake", num_inference_steps=3, generator=generators(1), output_type="pt").images
    assert torch.equal(given, drawn)


def test_a_saved_pipeline_loads_and_draws_the_same(pipeline: TextToImagePipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "whole")
    again = load_text_to_image(tmp_path / "whole")
    one, other = (each.draw(PROMPTS[:1], sampling=THREE_STEPS, generator=generators(1)) for each in (pipeline, again))
    assert torch.equal(one, other)


def test_what_does_not_fit_is_refused_in_one_line(pipeline: TextToImagePipeline, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiples of 8, got 60 and 64"):
        pipeline.draw(PROMPTS[:1], size=(60, 64))
    with pytest.raises(ValueError, match=r"one generator per picture \(2\), got 1"):
        pipeline.draw(PROMPTS[:2], generator=generators(1))
    with pytest.raises(ValueError, match="at least one prompt"):
        pipeline([])
    with pytest.raises(ValueError, match="callback_on_step_end_tensor_inputs"):
        pipeline("a lake", callback_on_step_end_tensor_inputs=["prompt_embeds"])
    with pytest.raises(ValueError, match="negative_prompt must be one text or one per picture"):
        pipeline(PROMPTS, negative_prompt=["a", "b"])
    with pytest.raises(ValueError, match="4 input channels, got 9"):
        load_text_to_image(model)
    with pytest.raises(ValueError, match="does not exist"):
        load_text_to_image(tmp_path / "nowhere")


def test_one_generator_decides_the_noise_of_every_step(pipeline: TextToImagePipeline) -> None:
    drawn = []
    ancestral = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config, rescale_betas_zero_snr=False)
    for _ in range(2):
        torch.manual_seed(len(drawn))
        parts = {**pipeline.components, "scheduler": ancestral}
        noisy = TextToImagePipeline(**parts)
        drawn.append(noisy.draw(PROMPTS[:2], sampling=THREE_STEPS, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(*drawn)
