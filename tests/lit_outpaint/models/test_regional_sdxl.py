"""Regions in the stock SDXL pipeline, at toy size with both of its text encoders."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.models.regional_sdxl import sdxl_arguments
from lit_outpaint.models.regions import PooledFrom
from lit_outpaint.testing.models import toy_tokenizer

FULL = (0.0, 0.0, 1.0, 1.0)
PROMPT, OTHER = "a meadow with a red barn", "a desert with a green cactus at night"


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionXLPipeline:
    torch.manual_seed(0)
    tokenizer = toy_tokenizer()
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        cross_attention_dim=64,
        norm_num_groups=8,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=32 + 6 * 8,
        transformer_layers_per_block=(1, 2),
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    made = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def draw(pipeline: Any, **arguments: Any) -> np.ndarray:
    return pipeline(
        num_inference_steps=4,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **{"height": 16, "width": 24, **arguments},
    ).images[0]


def regional(
    pipeline: Any, base_ratio: float, pooled_from: PooledFrom, end_fraction: float = 1.0, negative: str = ""
) -> np.ndarray:
    regions = [RegionPrompt(FULL, OTHER, base_ratio, negative)]
    arguments = sdxl_arguments(
        pipeline,
        PROMPT,
        regions,
        size_px=(16, 24),
        pooled_from=pooled_from,
        config=RegionalConfig(end_fraction=end_fraction),
    )
    return draw(pipeline, **arguments)


def test_a_base_ratio_of_1_is_a_stock_run_with_the_base_prompt(pipeline: StableDiffusionXLPipeline) -> None:
    stock = draw(pipeline, prompt=PROMPT, negative_prompt="")
    np.testing.assert_allclose(regional(pipeline, 1.0, "base"), stock, atol=1e-5)
    assert np.abs(regional(pipeline, 1.0, "last_region") - stock).max() > 1e-4


@pytest.mark.parametrize("pooled_from", ["last_region", "mean"])
def test_one_full_cell_without_base_is_a_stock_run_with_its_prompt(
    pipeline: StableDiffusionXLPipeline, pooled_from: PooledFrom
) -> None:
    stock = draw(pipeline, prompt=OTHER, negative_prompt="")
    np.testing.assert_allclose(regional(pipeline, 0.0, pooled_from), stock, atol=1e-5)


def test_a_negative_prompt_of_the_region_is_that_of_a_stock_run(pipeline: StableDiffusionXLPipeline) -> None:
    ours = regional(pipeline, 0.0, "last_region", negative="a lake")
    other = draw(pipeline, prompt=OTHER, negative_prompt="a lake")
    # The pooled vector of the negative prompt is the whole picture's, so that only the rows are the region's.
    assert np.abs(ours - other).max() < np.abs(regional(pipeline, 0.0, "last_region") - other).max()


def test_regions_end_after_their_share_of_the_steps(pipeline: StableDiffusionXLPipeline) -> None:
    early, late = (regional(pipeline, 0.0, "base", end_fraction=share) for share in (0.25, 1.0))
    stock = draw(pipeline, prompt=PROMPT, negative_prompt="")
    assert 0 < np.abs(early - stock).max() < np.abs(late - stock).max()


@pytest.mark.parametrize(
    ("regions", "config", "named"),
    [
        ([], RegionalConfig(), "at least one"),
        ([RegionPrompt(FULL, OTHER, 0.5)], RegionalConfig(merge="latent_concat"), "latent_concat"),
    ],
)
def test_what_it_cannot_draw_is_refused(
    pipeline: StableDiffusionXLPipeline, regions: list[RegionPrompt], config: RegionalConfig, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        sdxl_arguments(pipeline, PROMPT, regions, size_px=(16, 24), config=config)
