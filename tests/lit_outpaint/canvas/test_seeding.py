import torch

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.seeding import window_generator, window_seed


def test_a_seed_depends_on_run_place_and_direction_alone() -> None:
    box, other = Box(-32, 0, 32, 64), Box(-64, 0, 0, 64)
    seeds = [window_seed(0, box, "left"), window_seed(1, box, "left"), window_seed(0, other, "left")]
    assert len({*seeds, window_seed(0, box, "up")}) == 4
    assert window_seed(0, Box(-32, 0, 32, 64), "left") == seeds[0] == 6270337865078451
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_equal_windows_draw_equal_noise() -> None:
    box = Box(0, 0, 64, 64)
    one, two = (torch.randn(8, generator=window_generator(5, box, "down")) for _ in range(2))
    assert torch.equal(one, two)
