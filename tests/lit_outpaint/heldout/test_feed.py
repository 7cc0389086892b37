from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_outpaint.heldout.feed import Compared, PanoramaBatch, named_by_geometry
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import SampleId

WINDOW, STRIDE, STEPS = 8, 4, 2
LENGTH = WINDOW + STRIDE * STEPS


class _Seen:
    """A metric that remembers what it was handed."""

    def __init__(self, view: Any, caption: Any, from_step: int = 1) -> None:
        self.view, self.caption, self.from_step = view, caption, from_step

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        self.generated, self.reference, self.captions, self.samples = generated, reference, captions, samples

    def compute(self) -> dict[str, float]:
        return {}

    def reset(self) -> None:
        pass


def _batch(direction: Any, *, reference: bool = True) -> tuple[PanoramaBatch, Tensor]:
    horizontal = direction in ("left", "right")
    shape = (2, 3, WINDOW, LENGTH) if horizontal else (2, 3, LENGTH, WINDOW)
    pictures = torch.arange(2 * 3 * WINDOW * LENGTH).view(shape).float()
    rows = [
        Compared(f"p{i}", pictures[i], -pictures[i] if reference else None, f"scene {i}", (f"a{i}", f"b{i}", f"c{i}"))
        for i in range(2)
    ]
    return PanoramaBatch(rows, Geometry(direction, WINDOW, STRIDE), STEPS), pictures


@pytest.mark.parametrize(
    ("direction", "starts"), [("right", (0, 4, 8)), ("left", (8, 4, 0)), ("down", (0, 4, 8)), ("up", (8, 4, 0))]
)
def test_windows_and_strips_are_those_of_the_steps(direction: str, starts: tuple[int, ...]) -> None:
    batch, pictures = _batch(direction)
    axis = -1 if direction in ("left", "right") else -2
    windows, strips = _Seen("window", "local", from_step=0), _Seen("strip", "local")
    batch.feed(windows)
    batch.feed(strips)
    expected = [picture.narrow(axis, start, WINDOW) for picture in pictures for start in starts]
    assert torch.equal(windows.generated, torch.stack(expected))
    assert torch.equal(windows.reference, -windows.generated)
    assert windows.captions == ["a0", "b0", "c0", "a1", "b1", "c1"]
    assert list(map(str, windows.samples)) == ["p0/0", "p0/1", "p0/2", "p1/0", "p1/1", "p1/2"]
    ahead = WINDOW - STRIDE if direction in ("right", "down") else 0
    new = [picture.narrow(axis, start + ahead, STRIDE) for picture in pictures for start in starts[1:]]
    assert torch.equal(strips.generated, torch.stack(new))
    assert strips.captions == ["b0", "c0", "b1", "c1"]


def test_panoramas_come_whole_with_global_captions_and_without_real_ones() -> None:
    batch, pictures = _batch("right", reference=False)
    whole = _Seen("panorama", "local")
    batch.feed(whole)
    assert torch.equal(whole.generated, pictures)
    assert whole.reference.shape == (0, 3, WINDOW, LENGTH)
    assert whole.captions == ["scene 0", "scene 1"]
    assert whole.samples == [SampleId("p0"), SampleId("p1")]


def test_metrics_of_one_view_share_one_tensor() -> None:
    batch, _ = _batch("right")
    one, other = _Seen("window", "local"), _Seen("window", "global")
    batch.feed(one)
    batch.feed(other)
    assert one.generated is other.generated
    assert other.captions == ["scene 0", "scene 0", "scene 1", "scene 1"]


def test_start_windows_have_no_strip() -> None:
    with pytest.raises(ValueError, match="the start window has no strip"):
        _batch("right")[0].feed(_Seen("strip", "local", from_step=0))


def test_names_say_what_was_looked_at() -> None:
    geometry = Geometry("right", WINDOW, STRIDE)
    assert named_by_geometry("fid.n4", "window", geometry) == "fid.n4.window8-stride4-right"
    assert named_by_geometry("mean_clip.n4", "panorama", geometry) == "mean_clip.n4"
