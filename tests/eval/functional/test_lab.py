import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from eval.functional.lab import lab_statistics, srgb_to_lab


def _pixels(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 12, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_lab_agrees_with_scikit_image() -> None:
    expected = rgb2lab(_pixels().permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(srgb_to_lab(_pixels()).permute(0, 2, 3, 1).numpy(), expected, atol=1e-3)


def test_means_and_contrast_are_those_of_the_planted_colour() -> None:
    lab = np.zeros((1, 8, 8, 3))
    lab[..., 0], lab[..., 1], lab[..., 2] = 60, 10, -20
    lab[:, ::2, :, 0] += 10
    pixels = torch.from_numpy(lab2rgb(lab)).permute(0, 3, 1, 2)
    found = lab_statistics(pixels * 2 - 1)
    assert [float(found.lightness), float(found.green_red), float(found.blue_yellow)] == pytest.approx(
        [65, 10, -20], abs=1e-2
    )
    assert float(found.contrast) == pytest.approx(5, abs=1e-2)
    assert float(found.colourfulness) == pytest.approx(0, abs=1e-2)


def test_blur_lowers_sharpness() -> None:
    sharp = _pixels() * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, padding=1)
    assert bool((lab_statistics(blurred).sharpness < lab_statistics(sharp).sharpness).all())
