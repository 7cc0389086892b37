from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image

from lit_outpaint.models.encoders import (
    FrozenEncoders,
    check_parts,
    family_dims,
    family_scaling_factor,
    sample_latents,
)
from lit_outpaint.testing.models import TOY_CAPTIONS


@pytest.fixture(scope="module")
def encoders(toy_family: Path) -> FrozenEncoders:
    return FrozenEncoders.from_pretrained(toy_family)


def test_text_features_are_those_of_the_stock_pipeline(encoders: FrozenEncoders, toy_family: Path) -> None:
    stock = StableDiffusionPipeline.from_pretrained(toy_family)
    reference, _ = stock.encode_prompt(list(TOY_CAPTIONS), "cpu", 1, do_classifier_free_guidance=False)
    torch.testing.assert_close(encoders.encode_text(TOY_CAPTIONS), reference)


def test_visual_features_are_those_of_the_image_processor(encoders: FrozenEncoders) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    inputs = encoders.image_processor(Image.fromarray(pixels), return_tensors="pt")
    reference = encoders.image_encoder(**inputs).last_hidden_state[:, 1:]
    pixel_values = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    torch.testing.assert_close(encoders.encode_visual(pixel_values), reference, atol=1e-4, rtol=1e-4)


def test_pictures_of_any_size_give_49_tokens(encoders: FrozenEncoders) -> None:
    assert encoders.encode_visual([torch.zeros(3, 64, 32), torch.zeros(3, 20, 90)]).shape == (2, 49, 32)


def test_truncation_is_counted(encoders: FrozenEncoders) -> None:
    assert encoders.count_truncated(["a lake", "a lake and a barn " * 40]) == 1


def test_moments_and_mode_are_those_of_the_vae(encoders: FrozenEncoders) -> None:
    pixel_values = torch.rand(2, 3, 64, 64) * 2 - 1
    reference = encoders.vae.encode(pixel_values).latent_dist
    torch.testing.assert_close(encoders.encode_image(pixel_values), reference.parameters)
    torch.testing.assert_close(
        encoders.encode_mode(pixel_values), reference.mode() * encoders.vae.config.scaling_factor
    )


def test_sampled_latents_are_those_of_the_vae(encoders: FrozenEncoders) -> None:
    distribution = encoders.vae.encode(torch.rand(2, 3, 64, 64)).latent_dist
    noise = torch.randn(distribution.mean.shape, generator=torch.Generator().manual_seed(3))
    ours = sample_latents(distribution.parameters, 0.5, noise)
    torch.testing.assert_close(ours, distribution.sample(torch.Generator().manual_seed(3)) * 0.5)


def test_decoding_undoes_the_scaling(encoders: FrozenEncoders) -> None:
    latents = torch.randn(1, 4, 8, 8)
    reference = encoders.vae.decode(latents / encoders.scaling_factor).sample.clamp(-1, 1)
    torch.testing.assert_close(encoders.decode(latents), reference)


def test_nothing_is_trained(encoders: FrozenEncoders) -> None:
    encoders.train()
    assert not encoders.vae.training
    assert not any(parameter.requires_grad for parameter in encoders.parameters())


def test_sizes_come_from_the_configurations(toy_family: Path) -> None:
    assert family_dims(toy_family) == (77, 32, 49, 32)
    assert family_scaling_factor(toy_family) == 0.5


def test_a_vision_encoder_can_come_from_its_own_directory(toy_family: Path, tmp_path: Path) -> None:
    own = tmp_path / "vision"
    own.mkdir()
    for part in ("image_encoder", "image_processor"):
        for file in (toy_family / part).iterdir():
            (own / file.name).write_bytes(file.read_bytes())
    encoders = FrozenEncoders.from_pretrained(toy_family, vision=own)
    assert encoders.encode_visual(torch.zeros(1, 3, 28, 28)).shape == (1, 49, 32)
    assert family_dims(toy_family, own) == family_dims(toy_family)


def test_half_precision_files_load_in_single_precision(toy_family: Path, tmp_path: Path) -> None:
    for part in ("vae", "text_encoder", "image_encoder", "tokenizer", "image_processor"):
        (tmp_path / part).symlink_to(toy_family / part)
    (tmp_path / "vae").unlink()
    AutoencoderKL.from_pretrained(toy_family, subfolder="vae").half().save_pretrained(tmp_path / "vae")
    encoders = FrozenEncoders.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in encoders.parameters()} == {torch.float32}


@pytest.mark.parametrize("part", ["vae", "image_encoder"])
def test_a_missing_part_is_named(toy_family: Path, tmp_path: Path, part: str) -> None:
    for other in toy_family.iterdir():
        if other.name != part:
            (tmp_path / other.name).symlink_to(other)
    with pytest.raises(FileNotFoundError, match=f"must hold {part}/"):
        FrozenEncoders.from_pretrained(tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        check_parts(tmp_path / "absent", ["vae"])
