"""What a data loader hands to the training system."""

from typing import NamedTuple

from torch import Tensor


class OutpaintBatch(NamedTuple):
    """One batch of windows, each with one side to generate.

    With precomputed views ``masked_image_latents`` and ``visual_features`` are read from the shards, and
    ``pixel_values`` is None. With online views it is the other way round: the module itself encodes
    ``data.views.blank_masked(pixel_values, mask)`` and the crops
    ``data.views.visible_crop(pixel_values[i : i + 1], mask[i])``. A set that stores visual features alone gives these
    and ``pixel_values``.

    A named tuple because Lightning refuses to move frozen dataclasses between devices. All tensors are float32.
    """

    keys: tuple[str, ...]
    """Sample keys, for logs and for per-sample randomness."""
    directions: tuple[str, ...]
    """The side or corner that grows, per sample."""
    mask: Tensor
    """(B, 1, H, W): 1 = generate, 0 = keep."""
    moments: Tensor
    """(B, 8, h, w): mean and log-variance of the window's latents, not scaled."""
    text_local: Tensor
    """(B, L, D): features of the local caption."""
    text_global: Tensor
    """(B, L, D): features of the global caption."""
    text_empty: Tensor
    """(L, D): features of the empty caption, for caption dropout."""
    masked_image_latents: Tensor | None = None
    """(B, 4, h, w): scaled latents of the window with the 1s blanked."""
    visual_features: Tensor | None = None
    """(B, K, D): image-encoder tokens of the visible part alone."""
    pixel_values: Tensor | None = None
    """(B, 3, H, W) in [-1, 1]: the windows; only where something is to be encoded from them."""
    counts: Tensor | None = None
    """(B,): False for a sample that comes once more, only to keep ranks in step; None where all count."""
