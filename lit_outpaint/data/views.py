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
    """The kept rectangle ``(x0, y0, x1, y1)``, half-open; x right, y down.

    Where a corner is to be generated, the kept pixels are no rectangle: then the rows or the columns that are kept
    whole, whichever are more pixels, rows on a tie. Otherwise the bounding box.

    Raises:
        ValueError: nothing is kept.
    """
    kept = mask[0] < 0.5
    if not kept.any():
        raise ValueError("a mask must keep at least one pixel for the image encoder to see, got a mask of ones")
    whole_rows, whole_columns = (kept & kept.all(dim=axis, keepdim=True) for axis in (1, 0))
    parts = (kept, whole_rows, whole_columns)
    boxes = [_bounding_box(part) for part in parts if part.any()]
    if _area(boxes[0]) == kept.sum():
        return boxes[0]
    return max(boxes[1:], key=_area, default=boxes[0])


def visible_crop(
    pixel_values: Float[Tensor, "b 3 height width"], mask: Float[Tensor, "1 height width"]
) -> Float[Tensor, "b 3 crop_height crop_width"]:
    """Cut `visible_box` out of windows that share one mask; the image encoder resizes it to its square input."""
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


def _bounding_box(kept: Bool[Tensor, "height width"]) -> tuple[int, int, int, int]:
    rows, columns = kept.any(dim=1).nonzero()[:, 0], kept.any(dim=0).nonzero()[:, 0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _area(box: tuple[int, int, int, int]) -> int:
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0)


def _nearest(kept: Bool[Tensor, "lines places"]) -> Int[Tensor, "lines places"]:
    """Index of the kept place of the line that is nearest to each place; anything in lines that keep nothing."""
    count = kept.shape[1]
    place = torch.arange(count, device=kept.device).expand_as(kept)
    before = torch.where(kept, place, -count).cummax(dim=1).values
    after = torch.where(kept, place, 2 * count).flip(1).cummin(dim=1).values.flip(1)
    return torch.where(place - before <= after - place, before, after).clamp(0, count - 1)
