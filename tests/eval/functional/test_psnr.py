import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from eval.functional.psnr import psnr


def test_agrees_with_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    image, reference = torch.randint(0, 256, (2, 4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    expected = [peak_signal_noise_ratio(b.numpy(), a.numpy()) for a, b in zip(image, reference, strict=True)]
    assert psnr(image, reference).tolist() == pytest.approx(expected, rel=1e-6)


def test_difference_of_one_level_is_48_13_db_and_equal_images_are_infinite() -> None:
    image = torch.full((1, 3, 4, 4), 10, dtype=torch.uint8)
    assert psnr(image, image + 1).item() == pytest.approx(48.1308, abs=1e-4)
    assert psnr(image, image).item() == float("inf")


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="share a shape"):
        psnr(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
