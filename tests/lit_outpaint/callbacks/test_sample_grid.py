import pytest
import torch

from lit_outpaint.callbacks.sample_grid import SampleGrid, tile
from lit_outpaint.testing.models import toy_batch


def test_pictures_lie_side_by_side_with_a_white_gap() -> None:
    black, grey = torch.full((2, 3, 4, 4), -1.0), torch.zeros(2, 3, 4, 4)
    grid = tile([black, grey], gap_px=1)
    assert grid.shape == (3, 9, 9)
    assert grid[0, 0].tolist() == [-1.0] * 4 + [1.0] + [0.0] * 4
    assert grid[0, 4].tolist() == [1.0] * 9


def test_first_samples_keep_what_has_no_batch_axis() -> None:
    batch = toy_batch(size=4)
    first = batch.cut(slice(2))
    assert len(first.keys) == len(first.mask) == len(first.features.visual) == 2
    assert first.empty.text_local.shape == batch.empty.text_local.shape
    assert first.pixel_values is None


def test_counts_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SampleGrid(num_windows=0)
