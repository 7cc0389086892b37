"""Seam treatments: how the new side of a decoded window is made to meet the known pixels.

A window is decoded as a whole, so its known side is not quite what stands on the canvas. Pasting the new side alone
lays that difference bare as a line. A treatment adds a correction to the new side; known pixels are read, never
written. docs/seams.md has the measurements behind the constants.

Each treatment is a pure function ``(decoded, known, seam, reach_px) -> (H, W - seam, 3)`` of float32 levels in
0..255, in windows turned so that they grow to the right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from lit_outpaint.canvas.geometry import HEADINGS, Direction

SeamTreatment = Literal["none", "colour", "poisson"]
"""``none`` pastes the new side as it was decoded; see `colour_correction` and `poisson_correction`."""

SEAM_TREATMENTS: Final[tuple[SeamTreatment, ...]] = get_args(SeamTreatment)

DRIFT_LEVELS: Final = 24.0
"""Errors well below this many levels are a drift of colour; errors well above it show another thing."""

SLOPE_PX: Final = 3
"""Pixels on either side of the seam from which the slope across it is read."""

_MAX_GAIN: Final = 1.1


def treat_seam(
    generated: UInt8[ndarray, "h w 3"],
    known: UInt8[ndarray, "h w 3"],
    direction: Direction,
    stride_px: int,
    treatment: SeamTreatment = "poisson",
    reach_px: int = 8,
) -> UInt8[ndarray, "h w 3"]:
    """Correct the new side of a decoded window.

    Args:
        generated: the decoded window.
        known: the window as it stands on the canvas; its new side is not read.
        direction: the side that grows.
        stride_px: new pixels along the growing axis, at least 1 and less than the window.
        treatment: which correction.
        reach_px: for ``poisson``, see there.

    Returns:
        The decoded window with another new side; its known side is the decoded one, still to be replaced by the known
        pixels (`lit_outpaint.canvas.compositing.composite`).
    """
    if treatment == "none":
        return generated
    treated = generated.copy()
    decoded, reference = grow_right(generated, direction), grow_right(known, direction)
    seam = decoded.shape[1] - stride_px
    decoded, reference = decoded.astype(np.float32), reference[:, :seam].astype(np.float32)
    corrected = decoded[:, seam:] + _CORRECTIONS[treatment](decoded, reference, seam, reach_px)
    grow_right(treated, direction)[:, seam:] = np.clip(np.rint(corrected), 0, 255).astype(np.uint8)
    return treated


def colour_correction(
    decoded: Float[ndarray, "h w 3"], known: Float[ndarray, "h k 3"], seam: int, reach_px: int
) -> Float[ndarray, "h n 3"]:
    """Give the new side the gain and offset, per channel, that bring the decoded known side to the known pixels.

    Mean and standard deviation over the whole known side are matched; the gain stays within 1.1 and 1 / 1.1.
    ``reach_px`` is not used: the correction does not fade.
    """
    before, new = decoded[:, :seam], decoded[:, seam:]
    gain = (known.std((0, 1)) + 1.0) / (before.std((0, 1)) + 1.0)  # One level keeps flat windows at gain 1.
    gain = np.clip(gain, 1 / _MAX_GAIN, _MAX_GAIN)
    return (new - before.mean((0, 1))) * gain + known.mean((0, 1)) - new


def poisson_correction(
    decoded: Float[ndarray, "h w 3"], known: Float[ndarray, "h k 3"], seam: int, reach_px: int
) -> Float[ndarray, "h n 3"]:
    """Carry the error at the seam into the new side, each part as far as suits it.

    `seam_error` says what the first new line needs. A small error is a drift of colour: it is spread over the whole
    new side by Laplace's equation, so that broad errors fade slowly and fine ones at once. A large error means that
    the model drew another thing than what ends at the seam: spread widely it would leave a ghost, so it fades out
    linearly over ``reach_px`` (0: the thing ends at the seam).

    Source: the idea of correcting by a membrane is Perez et al. 2003, "Poisson Image Editing".
    """
    error = seam_error(decoded, known, seam)
    size = np.abs(error).max(axis=-1, keepdims=True)
    drift = error * np.exp(-((size / DRIFT_LEVELS) ** 2))
    num_new = decoded.shape[1] - seam
    correction = membrane(drift, num_new)
    reach = min(reach_px, num_new)
    fade = 1.0 - np.arange(reach, dtype=np.float32) / max(reach, 1)
    correction[:, :reach] += fade[None, :, None] * (error - drift)[:, None]
    return correction


def seam_error(decoded: Float[ndarray, "h w 3"], known: Float[ndarray, "h k 3"], seam: int) -> Float[ndarray, "h 3"]:
    """What is to be added to the first new line.

    The error of the last known line would keep the decoded step across the seam. But the decoded step is itself uneven
    where the model's halves disagree, so what exceeds the slope on either side is taken out as well - by no more than
    the error of that line, because in a window that was decoded without error the step is really there.
    """
    error = known[:, -1] - decoded[:, seam - 1]
    reach = min(SLOPE_PX, seam - 1, decoded.shape[1] - seam - 1)
    before = known[:, -1] - known[:, -1 - reach]
    after = decoded[:, seam + reach] - decoded[:, seam]
    excess = decoded[:, seam] - decoded[:, seam - 1] - (before + after) / (2 * max(reach, 1))
    limit = np.abs(error)
    return error - np.clip(excess, -limit, limit)


def membrane(edge: Float[ndarray, "h 3"], num_lines: int) -> Float[ndarray, "h {num_lines} 3"]:
    """Solve Laplace's equation on a strip whose first line is given.

    The line after the last one is 0; across the two long sides nothing flows. Solved exactly on the pixel grid (five
    points) in the cosine modes of the edge, each of which decays on its own.

    Args:
        edge: values of the first line.
        num_lines: lines of the strip, at least 1.
    """
    modes, decay = _cosine_modes(len(edge)), _decay(len(edge), num_lines)
    field = decay[:, :, None] * (modes @ edge)[:, None]
    return (modes.T @ field.reshape(len(edge), -1)).reshape(len(edge), num_lines, edge.shape[-1])


def grow_right(image: ndarray, direction: Direction) -> ndarray:
    """A view of a window ``(H, W, C)``, turned or mirrored so that it grows to the right."""
    heading = HEADINGS[direction]
    turned = image.transpose(1, 0, 2) if heading.axis else image
    return turned[:, :: heading.sign]


@lru_cache(maxsize=8)
def _cosine_modes(size: int) -> ndarray:
    """Orthonormal DCT-II, ``(mode, place)``."""
    waves = np.cos(np.pi / size * np.outer(np.arange(size), np.arange(size) + 0.5)) * np.sqrt(2 / size)
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


@lru_cache(maxsize=8)
def _decay(size: int, num_lines: int) -> ndarray:
    """What is left of each mode on each line: sinh(m (n - x)) / sinh(m n), ``(mode, line)``."""
    # On the grid a mode of eigenvalue 2 - 2 cos(t) along the edge decays with 2 cosh(m) - 2 equal to it.
    eigenvalues = 2 - 2 * np.cos(np.pi * np.arange(size) / size)
    rate = np.arccosh(1 + eigenvalues / 2)[:, None]
    line = np.arange(num_lines)[None]
    left = (num_lines - line) / num_lines  # The constant mode falls linearly.
    with np.errstate(invalid="ignore", over="ignore"):
        # sinh(a) / sinh(b) without overflow.
        falling = np.exp(-rate * line) * np.expm1(-2 * rate * (num_lines - line)) / np.expm1(-2 * rate * num_lines)
    return np.where(rate > 1e-9, falling, left).astype(np.float32)


_CORRECTIONS: Final[dict[str, Callable[[ndarray, ndarray, int, int], ndarray]]] = {
    "colour": colour_correction,
    "poisson": poisson_correction,
}
