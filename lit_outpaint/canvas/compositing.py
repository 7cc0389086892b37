"""From model pixels to canvas pixels: rounding, pasting, and the correction at the joint.

Known pixels are never touched: they are copied as bytes, whatever the model returned for them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from lit_outpaint.canvas.geometry import Box, Direction


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


def match_seam(
    generated: UInt8[ndarray, "h w 3"],
    known: UInt8[ndarray, "h w 3"],
    direction: Direction,
    stride_px: int,
    reach_px: int,
    smooth_px: int = 1,
) -> UInt8[ndarray, "h w 3"]:
    """Carry the decoder's colour error at the joint into the new side and let it fade out.

    The window is decoded as a whole, so its known side differs a little from the real known pixels, and that difference
    would show as a line where the new side begins. It is measured on the known pixels along the joint, smoothed along
    it, and added to the new side with a weight that falls linearly to 0 over ``reach_px``.

    Args:
        generated: the decoded window.
        known: the window as it stands on the canvas; only its known side is read.
        direction: the side that grows.
        stride_px: new pixels along the growing axis.
        reach_px: how far the correction reaches; 0 leaves the window as it is.
        smooth_px: known pixels next to the joint that are averaged, and half-width of the smoothing along it.
    """
    if reach_px <= 0:
        return generated
    turned, reference = _joint_upright(generated, direction), _joint_upright(known, direction)
    joint = turned.shape[1] - stride_px
    inner = slice(max(joint - smooth_px, 0), joint)
    error = reference[:, inner].astype(np.float32).mean(1) - turned[:, inner].astype(np.float32).mean(1)
    error = _box_blur(error, smooth_px)
    reach_px = min(reach_px, stride_px)
    weight = (1.0 - np.arange(reach_px, dtype=np.float32) / reach_px)[None, :, None]
    matched = turned.astype(np.float32)
    matched[:, joint : joint + reach_px] += weight * error[:, None, :]
    return _joint_upright(np.clip(np.rint(matched), 0, 255).astype(np.uint8), direction, back=True)


def crop(window: UInt8[ndarray, "h w 3"], window_box: Box, part: Box) -> UInt8[ndarray, "ph pw 3"]:
    """Cut ``part`` (canvas coordinates) out of a window that lies at ``window_box``."""
    inner = part.shift(-window_box.x0, -window_box.y0)
    return window[inner.y0 : inner.y1, inner.x0 : inner.x1]


def _joint_upright(image: ndarray, direction: Direction, back: bool = False) -> ndarray:
    """Turn the image so that it grows to the right; every turn here is its own inverse, up and down apart."""
    if direction == "right":
        return image
    if direction == "left":
        return image[:, ::-1]
    if direction == "down":
        return image.transpose(1, 0, 2)
    return image.transpose(1, 0, 2)[::-1] if back else image[::-1].transpose(1, 0, 2)


def _box_blur(profile: ndarray, half_width: int) -> ndarray:
    """Average each row of ``(n, 3)`` with its neighbours along the joint; the ends repeat."""
    if half_width < 1:
        return profile
    padded = np.pad(profile, ((half_width, half_width), (0, 0)), mode="edge")
    window = 2 * half_width + 1
    sums = np.cumsum(np.concatenate([np.zeros_like(padded[:1]), padded]), axis=0)
    return (sums[window:] - sums[:-window]) / window
