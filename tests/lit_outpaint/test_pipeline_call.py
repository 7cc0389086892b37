"""The outpainting pipeline as users of diffusers call it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline
from lit_outpaint.testing.models import TOY_WINDOW_PX as SIDE

OPTIONS = {"num_inference_steps": 2, "global_prompt": "a wide view at night"}


@pytest.fixture(scope="module")
def pipeline(model: Path) -> OutpaintPipeline:
    return load_pipeline(model)


@pytest.fixture(scope="module")
def window() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def mask() -> Image.Image:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[:, SIDE // 2 :] = 255
    return Image.fromarray(pixels)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_pictures_go_in_and_come_out_and_known_pixels_stay(
    pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image
) -> None:
    (drawn,) = pipeline("a lake", window, mask, **OPTIONS, generator=generator()).images
    assert isinstance(drawn, Image.Image)
    known, new = np.asarray(window), np.asarray(drawn)
    assert np.array_equal(new[:, : SIDE // 2], known[:, : SIDE // 2])
    assert not np.array_equal(new[:, SIDE // 2 :], known[:, SIDE // 2 :])


def test_pictures_arrays_and_tensors_mean_the_same(
    pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image
) -> None:
    array = np.asarray(window, dtype=np.float32)[None] / 255
    tensor = torch.from_numpy(array).permute(0, 3, 1, 2)
    black = np.asarray(mask, dtype=np.float32)[None, None] / 255
    given = [(window, mask), (array, torch.from_numpy(black)), (tensor, torch.from_numpy(black))]
    drawn = [
        pipeline("a lake", *pair, **OPTIONS, generator=generator(), output_type="pt", return_dict=False)[0]
        for pair in given
    ]
    for other in drawn[1:]:
        torch.testing.assert_close(drawn[0], other, atol=1e-4, rtol=0)
    assert drawn[0].shape == (1, 3, SIDE, SIDE)


def test_a_batch_takes_a_generator_and_a_prompt_for_each(
    pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image
) -> None:
    several = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    both = pipeline(["a lake", "a desert"], [window] * 2, mask, **OPTIONS, generator=several, output_type="np").images
    alone = pipeline("a lake", window, mask, **OPTIONS, generator=generator(), output_type="np").images
    np.testing.assert_allclose(both[0], alone[0], atol=1e-4)
    assert np.abs(both[0] - both[1]).max() > 0.01


def test_a_negative_prompt_changes_the_picture(
    pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image
) -> None:
    plain, pushed = (
        pipeline("a lake", window, mask, **OPTIONS, generator=generator(), negative_prompt=negative, output_type="pt")
        for negative in (None, "a desert")
    )
    assert not torch.equal(plain.images, pushed.images)


def test_callbacks_see_every_step_and_can_interrupt(
    pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image
) -> None:
    seen: list[int] = []

    def stop_after_two(pipe: OutpaintPipeline, step: int, timestep: object, tensors: dict) -> dict:
        seen.append(step)
        pipe._interrupt = step == 1
        return tensors

    options = OPTIONS | {"num_inference_steps": 5}
    pipeline("a lake", window, mask, **options, callback_on_step_end=stop_after_two)
    assert seen == [0, 1]


def test_a_call_leaves_the_unet_as_it_was(pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image) -> None:
    def state() -> tuple[object, ...]:
        hooks = sum(len(part._forward_pre_hooks) + len(part._forward_hooks) for part in pipeline.unet.modules())
        return hooks, pipeline.unet.training, {name: id(one) for name, one in pipeline.unet.attn_processors.items()}

    before = state()
    pipeline("a lake", window, mask, **OPTIONS)
    assert state() == before


def test_counts_that_do_not_fit_are_refused(pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image) -> None:
    with pytest.raises(ValueError, match=r"prompt must be one text or one per picture \(1\), got 2"):
        pipeline(["a lake", "a desert"], window, mask)
    with pytest.raises(ValueError, match="callback_on_step_end_tensor_inputs"):
        pipeline("a lake", window, mask, callback_on_step_end_tensor_inputs=["mask"])
    with pytest.raises(ValueError, match=r"one mask, or one per window \(2\), got 3"):
        pipeline("a lake", [window] * 2, [mask] * 3)


def test_pictures_are_not_resized(pipeline: OutpaintPipeline, window: Image.Image, mask: Image.Image) -> None:
    odd = (window.width + 2, window.height)
    with pytest.raises(ValueError, match="sides of windows must be multiples of"):
        pipeline("a lake", window.resize(odd), mask.resize(odd))
