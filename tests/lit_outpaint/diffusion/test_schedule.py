from pathlib import Path

import pytest

from lit_outpaint.diffusion.schedule import load_scheduler


def test_noise_is_not_predicted_where_nothing_else_is_left_at_the_end(toy_family: Path) -> None:
    scheduler = load_scheduler(toy_family)
    assert scheduler.alphas_cumprod[-1] == 0
    with pytest.raises(ValueError, match=r"ends in noise alone, which takes .*v_prediction, got epsilon"):
        load_scheduler(toy_family, "epsilon")
