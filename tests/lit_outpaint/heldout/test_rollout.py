from collections.abc import Sequence

import numpy as np
import pytest
import torch

from lit_outpaint.canvas.geometry import Box, Direction
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.heldout.rollout import changed_pixels, panorama_seed, roll_out
from lit_outpaint.heldout.walks import Geometry, Walk

WINDOW, STRIDE = 16, 8
QUIET = {"view_px": WINDOW, "report": lambda line: None}


class NoisePainter:
    """Fills the new side with noise of the window's own generator; spoils known pixels when asked to."""

    def __init__(self, spoil: bool = False) -> None:
        self.spoil = spoil
        self.calls: list[tuple[int, list[tuple[int, ...]]]] = []

    def draw(self, requests: Sequence[WindowRequest]) -> np.ndarray:
        self.calls.append((len(requests), [asked.view.shape for asked in requests]))
        known, mask = np.stack([asked.known for asked in requests]), np.stack([asked.mask[0] for asked in requests])
        mask = mask[..., None] > 0.5
        noise = [torch.randint(1, 256, (WINDOW, WINDOW, 3), generator=asked.generator).numpy() for asked in requests]
        drawn = np.where(mask, np.stack(noise), known).astype(np.uint8)
        if self.spoil:
            drawn[~np.broadcast_to(mask, drawn.shape)] ^= 1
        return drawn


def _walks(count: int, steps: int = 3) -> list[Walk]:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (count, WINDOW, WINDOW, 3), dtype=np.uint8)
    return [Walk(f"p{i}", first[i], "a wide view", ("a meadow",) * steps) for i in range(count)]


@pytest.mark.parametrize("direction", ["left", "right", "up", "down"])
def test_canvas_grows_on_its_side_and_keeps_what_it_had(direction: Direction) -> None:
    geometry = Geometry(direction, WINDOW, STRIDE)
    walks = _walks(2)
    rollout = roll_out(NoisePainter(), walks, geometry, **QUIET)
    for walk, panorama in zip(walks, rollout.panoramas, strict=True):
        long, short = geometry.length(3), WINDOW
        assert panorama.shape == ((short, long, 3) if geometry.horizontal else (long, short, 3))
        np.testing.assert_array_equal(geometry.start(panorama, WINDOW), walk.first_window)
        np.testing.assert_array_equal(geometry.window_at(panorama, 0), walk.first_window)
        assert (panorama > 0).any(axis=-1).all(), "every strip is filled"
    assert rollout.changed_px.sum() == 0


def test_batch_size_does_not_change_the_pictures_but_the_seed_does() -> None:
    geometry = Geometry("right", WINDOW, STRIDE)
    together = roll_out(NoisePainter(), _walks(5), geometry, batch_size=5, **QUIET)
    apart = roll_out(NoisePainter(), _walks(5), geometry, batch_size=2, **QUIET)
    other = roll_out(NoisePainter(), _walks(5), geometry, batch_size=2, seed=1, **QUIET)
    np.testing.assert_array_equal(np.stack(together.panoramas), np.stack(apart.panoramas))
    assert not np.array_equal(np.stack(other.panoramas), np.stack(apart.panoramas))


def test_painter_that_spoils_known_pixels_is_found_out() -> None:
    rollout = roll_out(NoisePainter(spoil=True), _walks(1, steps=2), Geometry("left", WINDOW, STRIDE), **QUIET)
    assert rollout.changed_px.tolist() == [[WINDOW * STRIDE, WINDOW * STRIDE]]


def test_changed_pixels_are_counted_once_whatever_their_channels() -> None:
    before = np.zeros((WINDOW, WINDOW, 3), dtype=np.uint8)
    after = np.zeros((WINDOW, WINDOW + STRIDE, 3), dtype=np.uint8)
    after[0, 0] = 9
    after[1, 1, 2] = 9
    after[:, WINDOW:] = 9
    assert changed_pixels(before, after, Geometry("right", WINDOW, STRIDE)) == 2


def test_vision_encoder_sees_at_most_the_view() -> None:
    painter = NoisePainter()
    roll_out(painter, _walks(1), Geometry("right", WINDOW, STRIDE), view_px=20, report=lambda line: None)
    assert [shapes[0] for _, shapes in painter.calls] == [(WINDOW, 16, 3), (WINDOW, 20, 3), (WINDOW, 20, 3)]


@pytest.mark.parametrize(
    ("direction", "box"),
    [
        ("right", Box(24, 0, 40, 16)),
        ("left", Box(-24, 0, -8, 16)),
        ("down", Box(0, 24, 16, 40)),
        ("up", Box(0, -24, 16, -8)),
    ],
)
def test_third_window_lies_three_strides_on(direction: Direction, box: Box) -> None:
    assert Geometry(direction, WINDOW, STRIDE).window_box(2) == box


def test_seam_is_where_the_new_strip_begins_or_ends() -> None:
    assert Geometry("right", 16, 4).seam == 12
    assert Geometry("left", 16, 4).seam == 4


def test_panoramas_have_their_own_seeds() -> None:
    assert len({panorama_seed(seed, key) for seed in range(3) for key in "abc"}) == 9


def test_uneven_walks_are_refused() -> None:
    walks = [*_walks(1, steps=2), *_walks(1, steps=3)]
    with pytest.raises(ValueError, match="same number of steps"):
        roll_out(NoisePainter(), walks, Geometry("right", WINDOW, STRIDE), **QUIET)
