import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.data.features import Features
from lit_outpaint.diffusion.schedule import scheduler_class
from lit_outpaint.diffusion.settings import Sampling, Uncond
from lit_outpaint.models.overlay import part_directories
from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline
from lit_outpaint.testing.models import TOY_WINDOW_PX, build_toy_family

LOCAL = ("a lake", "a meadow with a red barn", "a desert")
THREE_STEPS = Sampling(num_inference_steps=3)
GLOBAL = ("a wide view at night", "a wide view at dawn", "a wide view")


@pytest.fixture
def pipeline(model: Path) -> OutpaintPipeline:
    return load_pipeline(model)


def _windows(size: int) -> tuple[Tensor, Tensor]:
    image = torch.rand(size, 3, TOY_WINDOW_PX, TOY_WINDOW_PX, generator=torch.Generator().manual_seed(5)) * 2 - 1
    mask = outpaint_mask("right", 0.5, TOY_WINDOW_PX, TOY_WINDOW_PX)
    return image, mask.expand(size, *mask.shape)


def _generators(size: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(100 + i) for i in range(size)]


def _draw(pipeline: OutpaintPipeline, size: int = 1, **options: object) -> Tensor:
    image, mask = _windows(size)
    given = {"generator": _generators(size), **options}
    return pipeline.draw(image, mask, LOCAL[:size], GLOBAL[:size], **{"sampling": THREE_STEPS, **given})


def _reference_inpaint(pipeline: OutpaintPipeline, guidance_scale: float, uncond: Uncond) -> Tensor:
    """The stock inpainting pipeline of diffusers, fed W as its prompt and the unconditional W as the negative one."""
    image, mask = _windows(1)
    encoders = pipeline.encoders
    local, glob, empty = (encoders.encode_text([text]) for text in (LOCAL[0], GLOBAL[0], ""))
    seen = encoders.encode_visual(image[..., : TOY_WINDOW_PX // 2])
    unseen = seen if uncond == "text" else torch.zeros_like(seen)
    stock = StableDiffusionInpaintPipeline(
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,
        unet=pipeline.unet,
        scheduler=pipeline.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    stock.unet.set_attn_processor(AttnProcessor2_0())
    stock.set_progress_bar_config(disable=True)
    with torch.no_grad():
        drawn = stock(
            prompt_embeds=pipeline.context(Features(local, glob, seen)).hidden_states,
            negative_prompt_embeds=pipeline.context(Features(empty, empty, unseen)).hidden_states,
            image=(image + 1) / 2,
            mask_image=mask,
            height=TOY_WINDOW_PX,
            width=TOY_WINDOW_PX,
            num_inference_steps=5,
            guidance_scale=guidance_scale,
            generator=_generators(1)[0],
            output_type="pt",
        ).images
    return drawn * 2 - 1


def _collapse_posterior(pipeline: OutpaintPipeline) -> None:
    """Let the VAE be certain: stock inpainting samples the masked image's latents, this project takes their mode."""
    with torch.no_grad():
        pipeline.vae.quant_conv.weight[4:] = 0
        pipeline.vae.quant_conv.bias[4:] = -30


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler"])
@pytest.mark.parametrize(("guidance_scale", "uncond"), [(1.0, "text"), (4.0, "text"), (4.0, "text_and_visual")])
def test_a_window_equals_stock_inpainting_fed_the_same_context(
    pipeline: OutpaintPipeline, scheduler: str, guidance_scale: float, uncond: Uncond
) -> None:
    config = {"prediction_type": "v_prediction", "beta_schedule": "scaled_linear", "steps_offset": 1}
    pipeline.scheduler = scheduler_class(scheduler).from_config(config)
    _collapse_posterior(pipeline)
    sampling = Sampling(num_inference_steps=5, guidance_scale=guidance_scale, uncond=uncond)
    ours = _draw(pipeline, sampling=sampling)
    stock = _reference_inpaint(pipeline, guidance_scale, uncond)
    torch.testing.assert_close(ours, stock, atol=1e-4, rtol=0)
    assert ours.std() > 0.01


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "EulerAncestralDiscreteScheduler", "DDPMScheduler"])
def test_the_same_seed_gives_the_same_window_in_any_batch(pipeline: OutpaintPipeline, scheduler: str) -> None:
    pipeline.scheduler = scheduler_class(scheduler).from_config({"prediction_type": "v_prediction"})
    together = _draw(pipeline, size=3)
    image, mask = _windows(3)
    for i, generator in enumerate(_generators(3)):
        alone = pipeline.draw(
            image[i : i + 1],
            mask[:1],
            LOCAL[i : i + 1],
            GLOBAL[i : i + 1],
            sampling=THREE_STEPS,
            generator=[generator],
        )
        torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 0.1


@pytest.mark.parametrize("size", [9, 3])
def test_the_bits_of_a_window_do_not_depend_on_its_batch(pipeline: OutpaintPipeline, size: int) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Where large batches were seen to round differently.
    try:
        image, mask = _windows(size)
        captions = [f"a lake with {number} boats" for number in range(size)]
        given = (image, mask, captions, captions[::-1])
        together = pipeline.draw(*given, sampling=THREE_STEPS, generator=_generators(size))
        for i, generator in enumerate(_generators(size)):
            one = slice(i, i + 1)
            given = (image[one], mask[one], captions[one], captions[::-1][one])
            alone = pipeline.draw(*given, sampling=THREE_STEPS, generator=[generator])
            assert torch.equal(alone[0], together[i])
    finally:
        torch.set_num_threads(threads)


def test_equal_seeds_give_equal_bits_and_others_do_not(pipeline: OutpaintPipeline) -> None:
    assert torch.equal(_draw(pipeline), _draw(pipeline))
    other = _draw(pipeline, generator=torch.Generator().manual_seed(7))
    assert not torch.equal(_draw(pipeline), other)


@pytest.mark.parametrize("feather_cells", [0, 2])
def test_what_lies_under_the_mask_is_not_read(pipeline: OutpaintPipeline, feather_cells: int) -> None:
    image, mask = _windows(1)
    options = {"sampling": THREE_STEPS, "feather_cells": feather_cells}
    plain = pipeline.draw(image, mask, LOCAL[:1], GLOBAL[:1], generator=_generators(1), **options)
    other = pipeline.draw(image + mask * 0.3, mask, LOCAL[:1], GLOBAL[:1], generator=_generators(1), **options)
    known = pipeline.draw(image + (1 - mask) * 0.3, mask, LOCAL[:1], GLOBAL[:1], generator=_generators(1), **options)
    assert torch.equal(plain, other)
    assert not torch.equal(plain, known)


def test_a_held_known_side_does_not_depend_on_the_noise(pipeline: OutpaintPipeline) -> None:
    def difference(feather_cells: int) -> float:
        one = _draw(pipeline, feather_cells=feather_cells)
        other = _draw(pipeline, feather_cells=feather_cells, generator=torch.Generator().manual_seed(7))
        return float((one - other)[..., : TOY_WINDOW_PX // 2].abs().mean())

    assert difference(1) < 0.5 * difference(0)


@pytest.mark.parametrize("part", ["local_captions", "global_captions", "visual_image"])
def test_each_condition_reaches_the_picture(pipeline: OutpaintPipeline, part: str) -> None:
    image, mask = _windows(1)
    given = {
        "local_captions": ["a lake"],
        "global_captions": ["a wide view"],
        "visual_image": torch.zeros(1, 3, 20, 50),
    }
    changed = {**given, part: torch.ones(1, 3, 20, 50) if part == "visual_image" else ["a meadow with a red barn"]}
    one, two = (
        pipeline.draw(image, mask, sampling=THREE_STEPS, generator=_generators(1), **conditions)
        for conditions in (given, changed)
    )
    assert not torch.equal(one, two)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_a_condition_that_is_left_out_does_not_reach_the_picture(
    pipeline: OutpaintPipeline, guidance_scale: float
) -> None:
    def drawn(left_out: str, local: str, scene: str, seen: float) -> Tensor:
        sampling = Sampling(num_inference_steps=2, guidance_scale=guidance_scale, left_out=left_out)
        visual = torch.full((1, 3, 20, 50), seen)
        given = {"sampling": sampling, "generator": _generators(1)}
        return pipeline.draw(*_windows(1), [local], [scene], visual, **given)

    bare = drawn("local, global,visual", "a lake", "a wide view", 0.0)
    assert torch.equal(bare, drawn("local,global,visual", "a desert", "a forest", 1.0))
    for left_out in ("local", "global", "visual"):
        told = drawn(left_out, "a lake", "a wide view", 0.0)
        assert not torch.equal(told, bare)
        changed = {"local": ("a desert", "a wide view", 0.0), "global": ("a lake", "a forest", 0.0)}
        assert torch.equal(told, drawn(left_out, *changed.get(left_out, ("a lake", "a wide view", 1.0))))


def test_features_computed_before_give_the_same_window(pipeline: OutpaintPipeline) -> None:
    image, mask = _windows(1)
    encoders = pipeline.encoders
    features = Features(
        text_local=encoders.encode_text(LOCAL[:1]),
        text_global=encoders.encode_text(GLOBAL[:1]),
        visual=encoders.encode_visual(image[..., : TOY_WINDOW_PX // 2]),
    )
    reused = pipeline.draw(image, mask, features=features, sampling=THREE_STEPS, generator=_generators(1))
    assert torch.equal(reused, _draw(pipeline))


def test_a_saved_pipeline_loads_and_draws_the_same(pipeline: OutpaintPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "whole")
    assert not list((tmp_path / "whole").rglob("*.bin"))
    again = OutpaintPipeline.from_pretrained(tmp_path / "whole", local_files_only=True)
    assert torch.equal(_draw(again), _draw(pipeline))
    assert torch.equal(_draw(load_pipeline(tmp_path / "whole")), _draw(pipeline))


def test_an_overlay_moves_with_its_family(model: Path, pipeline: OutpaintPipeline, tmp_path: Path) -> None:
    shutil.copytree(model.parent, tmp_path / "moved")
    assert torch.equal(_draw(load_pipeline(tmp_path / "moved" / "outpaint")), _draw(pipeline))


def test_an_overlays_own_scheduler_wins(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model.parent, tmp_path / "family")
    scheduler = scheduler_class("EulerDiscreteScheduler").from_config({"prediction_type": "epsilon"})
    scheduler.save_pretrained(tmp_path / "family" / "outpaint" / "scheduler")
    assert load_pipeline(tmp_path / "family" / "outpaint").scheduler.config.prediction_type == "epsilon"
    homes = {part.name: part.parent.name for part in part_directories(tmp_path / "family" / "outpaint")}
    assert (homes["scheduler"], homes["unet"], homes["vae"]) == ("outpaint", "outpaint", "family")


def test_half_precision_is_a_matter_of_loading(model: Path) -> None:
    pipeline = load_pipeline(model, torch.bfloat16)
    assert {part.dtype for part in (pipeline.unet, pipeline.context, pipeline.vae)} == {torch.bfloat16}
    assert _draw(pipeline).dtype == torch.float32


def _absent(directory: Path) -> None:
    shutil.rmtree(directory)


def _no_marker(directory: Path) -> None:
    (directory / "outpaint.json").unlink()


def _no_base(directory: Path) -> None:
    (directory / "outpaint.json").write_text("{}")


def _base_gone(directory: Path) -> None:
    (directory / "outpaint.json").write_text('{"base": "../../nowhere"}')


def _no_context(directory: Path) -> None:
    shutil.rmtree(directory / "context")


def _a_file(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.write_text("")


def _a_family(directory: Path) -> None:
    (directory / "outpaint.json").unlink()
    (directory / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')


def _cut_weights(directory: Path) -> None:
    path = next((directory / "unet").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:1000])


def _other_shape(directory: Path) -> None:
    path = directory / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "block_out_channels": [32, 32]}))


def _text_to_image(directory: Path) -> None:
    shutil.rmtree(directory / "unet")
    shutil.copytree(directory.parent / "unet", directory / "unet")


def _other_width(directory: Path) -> None:
    shutil.rmtree(directory / "context")
    from lit_outpaint.models.context import ContextEncoder

    ContextEncoder(text_dim=48, visual_dim=32).save_pretrained(directory / "context")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_absent, "does not exist"),
        (_a_file, "is a file; export makes a model of a checkpoint"),
        (_a_family, "takes a model of its own, this is a StableDiffusionPipeline"),
        (_no_marker, "holds neither"),
        (_no_base, "must name the model family"),
        (_base_gone, "does not exist"),
        (_no_context, "cannot be loaded"),
        (_cut_weights, "cannot be loaded"),
        (_other_shape, "cannot be loaded"),
        (_text_to_image, "must read 9 channels, got 4"),
        (_other_width, "32 wide, but the context has width 48"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_one_line(
    model: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(model.parent, tmp_path / "family")
    damage(tmp_path / "family" / "outpaint")
    with pytest.raises(ValueError, match=message) as caught:
        load_pipeline(tmp_path / "family" / "outpaint")
    assert "\n" not in str(caught.value)


def test_arguments_that_do_not_fit_together_are_refused(pipeline: OutpaintPipeline) -> None:
    image, mask = _windows(2)
    with pytest.raises(ValueError, match=r"one generator per window \(2\), got 1"):
        pipeline.draw(image, mask, LOCAL[:2], GLOBAL[:2], generator=_generators(1))
    with pytest.raises(ValueError, match=r"one caption per window \(2\) for text_local, got 1"):
        pipeline.draw(image, mask, LOCAL[:1], GLOBAL[:2])
    with pytest.raises(ValueError, match="global_captions or features"):
        pipeline.draw(image, mask, LOCAL[:2])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Sampling(num_inference_steps=0)
    with pytest.raises(ValueError, match="NoSuchScheduler"):
        scheduler_class("NoSuchScheduler")


def test_the_window_is_the_size_the_model_was_made_for(model: Path, pipeline: OutpaintPipeline) -> None:
    assert pipeline.window_px == TOY_WINDOW_PX
    assert build_toy_family(model.parent) == model.parent
