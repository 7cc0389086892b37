from pathlib import Path

import pytest
import torch

from lit_outpaint.models.conditions import drop_conditions, encode_views, without_captions
from lit_outpaint.diffusion.dropout import DropoutConfig
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.testing.models import toy_batch


def test_dropped_captions_are_the_empty_one_and_dropped_pictures_zeros() -> None:
    batch = toy_batch()
    for shares in ({"text": 1.0, "visual": 0.0, "both": 0.0}, {"text": 0.0, "visual": 1.0, "both": 0.0}):
        dropped = drop_conditions(batch, DropoutConfig(**shares), torch.rand(4))
        for name in ("text_local", "text_global"):
            expected = batch.text_empty.expand_as(batch.text_local) if shares["text"] else getattr(batch, name)
            assert torch.equal(getattr(dropped, name), expected)
        expected = torch.zeros_like(batch.visual_features) if shares["visual"] else batch.visual_features
        assert torch.equal(dropped.visual_features, expected)


def test_online_views_are_encoded_as_shard_writing_encodes_them(toy_family: Path) -> None:
    encoders = FrozenEncoders.from_pretrained(toy_family)
    pixel_values = torch.rand(4, 3, 64, 64) * 2 - 1
    batch = toy_batch()._replace(masked_image_latents=None, visual_features=None, pixel_values=pixel_values)
    complete = encode_views(batch, encoders)
    expected = encoders.encode_visual(pixel_values[..., :32])
    torch.testing.assert_close(complete.visual_features, expected)
    masked = pixel_values * (batch.mask < 0.5)
    torch.testing.assert_close(complete.masked_image_latents, encoders.encode_mode(masked))


def test_a_batch_with_neither_features_nor_pixels_is_refused(toy_family: Path) -> None:
    batch = toy_batch()._replace(masked_image_latents=None)
    with pytest.raises(ValueError, match="got neither"):
        encode_views(batch, FrozenEncoders.from_pretrained(toy_family))


def test_without_captions_the_picture_stays() -> None:
    batch = toy_batch()
    bare = without_captions(batch)
    assert torch.equal(bare.text_local[0], batch.text_empty)
    assert torch.equal(bare.text_global[3], batch.text_empty)
    assert bare.visual_features is batch.visual_features
