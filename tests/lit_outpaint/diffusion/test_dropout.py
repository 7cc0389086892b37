import pytest
import torch

from lit_outpaint.diffusion.dropout import DropoutConfig, drop_masks


def test_dropped_shares_are_those_asked_for() -> None:
    drop_text, drop_visual = drop_masks(torch.arange(1000) / 1000, text=0.1, visual=0.2, both=0.05)
    assert (drop_text & drop_visual).sum() == 50
    assert (drop_text & ~drop_visual).sum() == 100
    assert (~drop_text & drop_visual).sum() == 200


def test_no_share_drops_nothing() -> None:
    drop_text, drop_visual = drop_masks(torch.rand(100), text=0.0, visual=0.0, both=0.0)
    assert not drop_text.any()
    assert not drop_visual.any()


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to at most 1"):
        DropoutConfig(text=0.6, visual=0.6)
