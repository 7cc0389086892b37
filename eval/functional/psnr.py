"""Peak signal-to-noise ratio of 8-bit images."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

PEAK = 255.0


def psnr(image: UInt8[Tensor, "b c h w"], reference: UInt8[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """PSNR of every image in dB, over all its pixels and channels, at a peak of 255.

    Args:
        image: the images under test.
        reference: what they should be.

    Returns:
        One value per image; ``inf`` where image and reference are equal.

    Raises:
        ValueError: the two differ in shape.
    """
    if image.shape != reference.shape:
        raise ValueError(f"image and reference must share a shape, got {tuple(image.shape)}, {tuple(reference.shape)}")
    squared_error = (image.double() - reference.double()).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(PEAK**2 / squared_error)).float()
