import pytest
import torch

from lit_outpaint.data.features import Features, replaced, stacked, told, unconditional
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.testing.models import toy_batch


def test_only_what_is_dropped_is_replaced() -> None:
    batch, drop = toy_batch(size=3), torch.tensor([True, False, True])
    dropped = replaced(batch.features, batch.empty, {"local": drop, "visual": ~drop})
    assert torch.equal(dropped.text_global, batch.features.text_global)
    assert torch.equal(dropped.text_local[0], batch.empty.text_local)
    assert torch.equal(dropped.text_local[2], batch.empty.text_local)
    assert not dropped.visual[1].any()
    assert torch.equal(dropped.visual[::2], batch.features.visual[::2])
    assert dropped.language_local is None


def test_without_captions_the_picture_stays() -> None:
    batch = toy_batch()
    bare = unconditional(batch.features, batch.empty, Sampling(uncond="text"))
    assert torch.equal(bare.text_local[0], batch.empty.text_local)
    assert torch.equal(bare.text_global[3], batch.empty.text_global)
    assert torch.equal(bare.visual, batch.features.visual)
    assert not unconditional(batch.features, batch.empty, Sampling(uncond="text_and_visual")).visual.any()


def test_language_features_are_captions_and_need_those_of_the_empty_one() -> None:
    spoken, drop = Features(language_local=torch.randn(2, 5, 3)), torch.tensor([True, False])
    with pytest.raises(ValueError, match="language_local"):
        replaced(spoken, Features(), {"local": drop})
    silence = torch.randn(5, 3)
    dropped = replaced(spoken, Features(language_local=silence), {"local": drop})
    assert torch.equal(dropped.language_local[0], silence)
    assert torch.equal(dropped.language_local[1], spoken.language_local[1])


def test_a_model_is_not_told_what_sampling_leaves_out() -> None:
    batch = toy_batch()
    assert told(batch.features, Features(), Sampling()) == batch.features
    bare = told(batch.features, batch.empty, Sampling(left_out="global,visual"))
    assert torch.equal(bare.text_local, batch.features.text_local)
    assert torch.equal(bare.text_global, batch.empty.text_global.expand_as(bare.text_global))
    assert not bare.visual.any()


def test_cutting_undoes_stacking() -> None:
    one, two = toy_batch(seed=1).features, toy_batch(seed=2).features
    both = stacked(one, two)
    for name in ("text_local", "text_global", "visual"):
        assert torch.equal(getattr(both.cut(slice(0, 4)), name), getattr(one, name))
        assert torch.equal(getattr(both.cut(slice(4, 8)), name), getattr(two, name))
