"""From model pixels to canvas pixels: rounding, pasting and cutting.

Known pixels are never touched: they are copied as bytes, whatever the model returned for them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from lit_outpaint.canvas.geometry import Box


def to_uint8(pixel_values: Float[Tensor, "b 3 h w"]) -> UInt8[ndarray, "b h w 3"]:
    """Round pixels from [-1, 1] to 0..255; values outside are clipped."""
    levels = ((pixel_values.detach().float().clamp(-1, 1) + 1) * 127.5).round()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def to_pixel_values(image: UInt8[ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Scale pixels from 0..255 to [-1, 1]; `to_uint8` is its exact inverse."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def composite(
    known: UInt8[ndarray, "h w 3"], generated: UInt8[ndarray, "h w 3"], mask: Float[Tensor, "1 h w"]
) -> UInt8[ndarray, "h w 3"]:
    """Take generated pixels where the mask is 1 and known ones, bit for bit, where it is 0."""
    return np.where(mask[0].numpy()[:, :, None] >= 0.5, generated, known)


def crop(window: UInt8[ndarray, "h w 3"], window_box: Box, part: Box) -> UInt8[ndarray, "ph pw 3"]:
    """Cut ``part`` (canvas coordinates) out of a window that lies at ``window_box``."""
    inner = part.shift(-window_box.x0, -window_box.y0)
    return window[inner.y0 : inner.y1, inner.x0 : inner.x1]
