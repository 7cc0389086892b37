from pathlib import Path

import pytest
import torch

from lit_outpaint.callbacks.sample_grid import SampleGrid, tile, under_prompts
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
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


def test_prompts_add_rows_of_the_same_windows_under_other_words(toy_family: Path) -> None:
    torch.manual_seed(0)
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    callback = SampleGrid(num_inference_steps=1, prompts=["a lake", "a barn at night", "a lake"])
    rows = callback.rows(module, toy_batch(size=2))
    assert [len(column) for column in rows] == [5, 5, 5]
    masked, drawn, target = rows
    assert torch.equal(masked[2:4], masked[:2])
    torch.testing.assert_close(target[4], target[0], msg="decoded beside others", atol=1e-5, rtol=0)
    assert not torch.equal(drawn[2], drawn[0])
    torch.testing.assert_close(drawn[4], drawn[2], msg="the same window, noise and words", atol=1e-4, rtol=0)
    batch = under_prompts(module, toy_batch(size=2), ["a lake", "a barn"])
    torch.testing.assert_close(batch.features.text_global, module.encoders.encode_text(["a lake", "a barn"]))
