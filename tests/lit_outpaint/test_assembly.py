from pathlib import Path

import torch

from lit_outpaint.assembly import lent_pipeline
from lit_outpaint.models.frozen_parts import FrozenParts
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.testing.models import toy_batch


def test_a_system_that_lent_its_pipeline_encodes_as_before(toy_family: Path) -> None:
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    assert not module.encoders.vae.use_slicing
    with lent_pipeline(module):
        pass
    assert not module.encoders.vae.use_slicing


def test_what_is_encoded_online_is_not_rounded_as_training_computes(toy_family: Path) -> None:
    parts = FrozenParts(ModelConfig(pretrained=str(toy_family)), None, False)
    windows = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    bare = toy_batch()
    batch = bare._replace(masked_image_latents=None, features=bare.features._replace(visual=None), pixel_values=windows)
    needs, device = ["visual", "masked_image_latents"], torch.device("cpu")
    expected = parts.complete(batch, needs, device)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = parts.complete(batch, needs, device)
    assert torch.equal(mixed.masked_image_latents, expected.masked_image_latents)
    assert torch.equal(mixed.features.visual, expected.features.visual)
