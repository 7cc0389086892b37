from collections import Counter

import pytest
import torch

from lit_outpaint.diffusion.dropout import DropoutConfig, drop_masks


def test_dropped_shares_are_those_asked_for() -> None:
    config = DropoutConfig(text=0.1, visual=0.2, both=0.05, local_caption=0.15, global_caption=0.3)
    dropped = drop_masks(torch.arange(1000) / 1000, config)
    cases = Counter(zip(*(dropped[of].tolist() for of in ("local", "global", "visual")), strict=True))
    assert cases[True, True, True] == 50
    assert cases[True, True, False] == 100
    assert cases[False, False, True] == 200
    assert cases[True, False, False] == 150
    assert cases[False, True, False] == 300
    assert cases[False, False, False] == 200


def test_no_share_drops_nothing() -> None:
    dropped = drop_masks(torch.rand(100), DropoutConfig(text=0.0, visual=0.0, both=0.0))
    assert not any(mask.any() for mask in dropped.values())


def test_shares_that_make_up_the_whole_are_taken() -> None:
    config = DropoutConfig(text=0.05, visual=0.55, both=0.3, local_caption=0.1)
    dropped = drop_masks(torch.arange(1000) / 1000, config)
    assert (dropped["local"] | dropped["visual"]).sum() >= 999


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to at most 1"):
        DropoutConfig(text=0.6, visual=0.6)
