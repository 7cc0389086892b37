"""Colour, contrast and sharpness of pictures."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)


class LabStatistics(NamedTuple):
    """Per picture, in units of CIE Lab (L in [0, 100])."""

    lightness: Float[Tensor, " n"]
    """Mean of L."""
    green_red: Float[Tensor, " n"]
    """Mean of a."""
    blue_yellow: Float[Tensor, " n"]
    """Mean of b."""
    contrast: Float[Tensor, " n"]
    """Deviation of L over the picture."""
    colourfulness: Float[Tensor, " n"]
    """Deviation of (a, b): the root of the summed variances."""
    sharpness: Float[Tensor, " n"]
    """Deviation of the Laplacian of L."""


def srgb_to_lab(pixels: Float[Tensor, "n 3 hh ww"]) -> Float[Tensor, "n 3 hh ww"]:
    """CIE Lab under D65 of sRGB pixels in [0, 1]."""
    linear = torch.where(pixels > 0.04045, ((pixels + 0.055) / 1.055).clamp_min(0) ** 2.4, pixels / 12.92)
    to_xyz = pixels.new_tensor(_TO_XYZ) / pixels.new_tensor(_WHITE)[:, None]
    xyz = torch.einsum("xc,nchw->nxhw", to_xyz, linear)
    folded = torch.where(xyz > 0.008856, xyz.clamp_min(1e-12) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = folded.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_statistics(pixel_values: Float[Tensor, "n 3 hh ww"]) -> LabStatistics:
    """Statistics of pictures in [-1, 1]."""
    lab = srgb_to_lab((pixel_values.double() + 1) / 2)
    means = lab.mean(dim=(2, 3))
    variances = lab.var(dim=(2, 3), unbiased=False)
    laplacian = lab.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)
    edges = conv2d(lab[:, :1], laplacian)
    return LabStatistics(
        lightness=means[:, 0],
        green_red=means[:, 1],
        blue_yellow=means[:, 2],
        contrast=variances[:, 0].sqrt(),
        colourfulness=(variances[:, 1] + variances[:, 2]).sqrt(),
        sharpness=edges.std(dim=(1, 2, 3), unbiased=False),
    )
