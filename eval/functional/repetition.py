"""How much of a new piece of a canvas was there before: patches with structure that are found again, nearly exactly."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, unfold

HEIGHT_PX = 64
"""Pictures are compared at this height: details below a pixel of it do not count."""
PATCH_PX = 12
"""Side of a patch at that height."""
SPACING_PX = 4
"""Distance of the patches that are searched; they are searched for at every pixel."""
MIN_STRUCTURE = 1e-3
"""Smaller eigenvalue of the mean structure tensor from which on a patch has structure in both directions: corners and
objects do, skies and horizons do not."""
MIN_CORRELATION = 0.9
"""Normalised cross-correlation from which on a patch counts as found."""
_CHUNK = 64


def repetition(
    new: Float[Tensor, "3 hh w"],
    past: Float[Tensor, "3 hh v"],
    min_correlation: float = MIN_CORRELATION,
) -> float:
    """Share of the patches of a new piece that have structure and are found in the past.

    Real scenes hold alike things too, so compare with the real panorama's value. It is 0 where there is no past yet,
    and where nothing has structure.

    Args:
        new: the piece, in [-1, 1], as high as the past. For pieces above each other hand in turned pictures.
        past: what the canvas showed before, without the piece.
        min_correlation: from which on a patch is found.

    Raises:
        ValueError: the two differ in height.
    """
    if new.shape[1] != past.shape[1]:
        raise ValueError(f"new and past must have one height, got {new.shape[1]} and {past.shape[1]} px")
    if min(new.shape[2], past.shape[2]) * HEIGHT_PX < PATCH_PX * new.shape[1]:
        return 0.0
    queries, seen = _luminance(new), _luminance(past)
    patches = unfold(queries, PATCH_PX, stride=SPACING_PX)[0].T
    chosen = patches[_has_structure(queries)]
    found = sum(
        int((_best_correlation(part, seen) >= min_correlation).sum()) for part in chosen.split(_CHUNK) if len(part)
    )
    return found / len(patches)


def _luminance(picture: Tensor) -> Float[Tensor, "1 1 HEIGHT_PX v"]:
    grey = (picture.float() * picture.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0)[None, None]
    width = max(round(grey.shape[-1] * HEIGHT_PX / grey.shape[-2]), 1)
    return interpolate(grey, (HEIGHT_PX, width), mode="bilinear", antialias=True)


def _has_structure(picture: Float[Tensor, "1 1 hh v"]) -> Bool[Tensor, " p"]:
    across = torch.zeros_like(picture)
    down = torch.zeros_like(picture)
    across[..., 1:-1] = (picture[..., 2:] - picture[..., :-2]) / 2
    down[..., 1:-1, :] = (picture[..., 2:, :] - picture[..., :-2, :]) / 2
    xx, yy, xy = (
        avg_pool2d(part, PATCH_PX, SPACING_PX).flatten() for part in (across * across, down * down, across * down)
    )
    smaller = (xx + yy - ((xx - yy).square() + 4 * xy.square()).sqrt()) / 2
    return smaller >= MIN_STRUCTURE


def _best_correlation(patches: Float[Tensor, "p q"], seen: Float[Tensor, "1 1 hh v"]) -> Float[Tensor, " p"]:
    """The largest normalised cross-correlation of every patch with any place of a picture."""
    centred = patches - patches.mean(dim=1, keepdim=True)
    kernels = (centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)).view(-1, 1, PATCH_PX, PATCH_PX)
    area = PATCH_PX**2
    mean, mean_of_squares = avg_pool2d(seen, PATCH_PX, 1), avg_pool2d(seen.square(), PATCH_PX, 1)
    norm = (area * (mean_of_squares - mean.square())).clamp_min(1e-6).sqrt()
    return (conv2d(seen, kernels) / norm).flatten(2).amax(dim=2)[0]
