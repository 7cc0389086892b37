from pathlib import Path

import pytest
import torch

from lit_outpaint.canvas.masks import MASK_KINDS, window_mask
from lit_outpaint.diffusion.dropout import DropoutConfig
from lit_outpaint.models.conditions import drop_conditions, encode_views, encode_visible
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.testing.models import toy_batch


def test_dropped_captions_are_the_empty_one_and_dropped_pictures_zeros() -> None:
    batch = toy_batch()
    for shares in ({"text": 1.0, "visual": 0.0, "both": 0.0}, {"text": 0.0, "visual": 1.0, "both": 0.0}):
        dropped = drop_conditions(batch, DropoutConfig(**shares), torch.rand(4))
        for name in ("text_local", "text_global"):
            own = getattr(batch.features, name)
            expected = batch.empty.text_local.expand_as(own) if shares["text"] else own
            assert torch.equal(getattr(dropped.features, name), expected)
        expected = torch.zeros_like(batch.features.visual) if shares["visual"] else batch.features.visual
        assert torch.equal(dropped.features.visual, expected)


def test_captions_that_are_dropped_say_nothing_either() -> None:
    batch = toy_batch()._replace(captions=(("a red barn", "a farm"),) * 4)
    dropped = drop_conditions(batch, DropoutConfig(text=0.5, visual=0.0, both=0.0), torch.tensor([0.1, 0.9, 0.1, 0.9]))
    assert dropped.captions == (("", ""), ("a red barn", "a farm")) * 2


def test_one_caption_can_be_dropped_alone() -> None:
    batch = toy_batch()._replace(captions=(("a red barn", "a farm"),) * 4)
    config = DropoutConfig(text=0.0, visual=0.0, both=0.0, local_caption=0.5, global_caption=0.5)
    dropped = drop_conditions(batch, config, torch.tensor([0.1, 0.9, 0.1, 0.9]))
    assert dropped.captions == (("", "a farm"), ("a red barn", "")) * 2
    assert torch.equal(dropped.features.text_global[0], batch.features.text_global[0])
    assert torch.equal(dropped.features.text_global[1], batch.empty.text_global)
    assert torch.equal(dropped.features.visual, batch.features.visual)


def test_online_views_are_encoded_as_shard_writing_encodes_them(toy_family: Path) -> None:
    encoders = FrozenEncoders.from_pretrained(toy_family)
    pixel_values = torch.rand(4, 3, 64, 64) * 2 - 1
    batch = toy_batch()
    unseen = batch.features._replace(visual=None)
    batch = batch._replace(masked_image_latents=None, features=unseen, pixel_values=pixel_values)
    complete = encode_views(batch, encoders)
    expected = encoders.encode_visual(pixel_values[..., :32])
    torch.testing.assert_close(complete.features.visual, expected)
    masked = pixel_values * (batch.mask < 0.5)
    torch.testing.assert_close(complete.masked_image_latents, encoders.encode_mode(masked))


def test_what_is_new_is_never_seen_and_nothing_known_is_as_dropped(toy_family: Path) -> None:
    encoders = FrozenEncoders.from_pretrained(toy_family)
    windows = torch.rand(1, 3, 64, 64) * 2 - 1
    for kind in MASK_KINDS:
        mask = window_mask(kind, 0.5, 64, 64, place=3)[None]
        seen = encode_visible(windows, mask, encoders)
        other = torch.where(mask >= 0.5, torch.rand_like(windows), windows)
        assert torch.equal(seen, encode_visible(other, mask, encoders))
        assert bool(seen.any()) == (kind != "all")


def test_a_batch_with_neither_features_nor_pixels_is_refused(toy_family: Path) -> None:
    batch = toy_batch()._replace(masked_image_latents=None)
    with pytest.raises(ValueError, match="got neither"):
        encode_views(batch, FrozenEncoders.from_pretrained(toy_family))
