"""What a data loader hands to the training system."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from lit_outpaint.data.features import Features


class OutpaintBatch(NamedTuple):
    """One batch of windows, each with one side to generate.

    With precomputed views ``masked_image_latents`` and ``features.visual`` are read from the shards, and
    ``pixel_values`` is None. With online views it is the other way round: the module itself encodes
    ``data.views.blank_masked(pixel_values, mask)`` and the crops
    ``data.views.visible_crop(pixel_values[i : i + 1], mask[i])``. A set that stores visual features alone gives these
    and ``pixel_values``. Features that the model's conditioning does not read are None.

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
    features: Features
    """What frozen encoders made of captions and pictures."""
    empty: Features
    """The same of the empty caption, without a batch axis: what a caption that is left out becomes."""
    masked_image_latents: Tensor | None = None
    """(B, 4, h, w): scaled latents of the window with the 1s blanked."""
    pixel_values: Tensor | None = None
    """(B, 3, H, W) in [-1, 1]: the windows; only where something is to be encoded from them."""
    captions: tuple[tuple[str, str], ...] | None = None
    """Local and global caption of each sample; only where something reads the words themselves."""
    counts: Tensor | None = None
    """(B,): False for padding, samples that are repeated to keep ranks in step; None where all count."""

    def cut(self, part: slice) -> OutpaintBatch:
        """Some samples of the batch."""
        cut = {
            name: value[part]
            for name, value in self._asdict().items()
            if value is not None and name not in ("features", "empty")
        }
        return self._replace(**cut, features=self.features.cut(part))
