"""What the model is shown of a window: the blanked image and the visible crop, from one mask.

Preparation (precomputed views), training with online views and inference all cut a window by these functions, so that
a feature means the same wherever it is computed.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def blank_masked(
    pixel_values: Float[Tensor, "b 3 height width"], mask: Float[Tensor, "#b 1 height width"]
) -> Float[Tensor, "b 3 height width"]:
    """Set what is to be generated to 0, mid-grey in [-1, 1].

    Args:
        pixel_values: windows in [-1, 1].
        mask: 1 = generate, 0 = keep.

    Source: diffusers ``StableDiffusionInpaintPipeline``, ``masked_image = init_image * (mask < 0.5)``.
    """
    return pixel_values * (mask < 0.5)


def visible_box(mask: Float[Tensor, "1 height width"]) -> tuple[int, int, int, int]:
    """Bounding box ``(x0, y0, x1, y1)`` of the kept pixels, half-open; x right, y down.

    Raises:
        ValueError: nothing is kept.
    """
    kept = mask[0] < 0.5
    rows, columns = kept.any(dim=1).nonzero()[:, 0], kept.any(dim=0).nonzero()[:, 0]
    if len(rows) == 0:
        raise ValueError("a mask must keep at least one pixel for the image encoder to see, got a mask of ones")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def visible_crop(
    pixel_values: Float[Tensor, "b 3 height width"], mask: Float[Tensor, "1 height width"]
) -> Float[Tensor, "b 3 crop_height crop_width"]:
    """Cut the kept rectangle out of windows that share one mask; the image encoder resizes it to its square input."""
    x0, y0, x1, y1 = visible_box(mask)
    return pixel_values[..., y0:y1, x0:x1]


def extend_visible(
    pixel_values: Float[Tensor, "b 3 height width"], mask: Float[Tensor, "1 height width"]
) -> Float[Tensor, "b 3 height width"]:
    """Fill what is to be generated with the nearest kept pixel of its row; rows without one repeat the nearest row.

    An encoder that looks across the edge of the kept part then sees more of the same, not a grey wall.
    """
    kept = mask[0] < 0.5
    rows = _nearest(kept.any(dim=1)[None])[0]
    columns = _nearest(kept)[rows]
    return pixel_values[:, :, rows[:, None], columns]


def _nearest(kept: Bool[Tensor, "lines places"]) -> Int[Tensor, "lines places"]:
    """Index of the kept place of the line that is nearest to each place; anything in lines that keep nothing."""
    count = kept.shape[1]
    place = torch.arange(count, device=kept.device).expand_as(kept)
    before = torch.where(kept, place, -count).cummax(dim=1).values
    after = torch.where(kept, place, 2 * count).flip(1).cummin(dim=1).values.flip(1)
    return torch.where(place - before <= after - place, before, after).clamp(0, count - 1)
