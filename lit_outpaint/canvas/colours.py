"""From the colours that a picture is stored in to 8-bit sRGB, which is all that models and canvases know.

Deep pictures keep their high byte, so that grey of 8 bits that was widened to 16, by shifting or by multiplying with
257, comes back exactly, and 16-bit grey is what Pillow makes of the same picture in 16-bit colour.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

_MODES: Final = {"RGB": "", "L": "grey", "1": "grey", "CMYK": "cmyk", "YCbCr": "", "P": "palette"}
"""What is read, and what it is called when it is told what was mended; see also `_DEEP`, `_LAYERED`."""
_DEEP: Final = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_LAYERED: Final = {"RGBA": "RGB", "RGBa": "RGB", "LA": "L", "La": "L", "PA": "RGB"}
"""Modes with transparency, and what is beneath it."""
_PROFILED: Final = ("RGB", "L", "CMYK")
_SAME: Final = 2
"""Levels that a profile may move colours by and still be sRGB under another name, whose pixels stay as they are."""
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO: Final = 0


class ColourError(ValueError):
    """The colours of a picture cannot be read; says why, not in which file."""


def to_srgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """A decoded picture as RGB of 8 bits.

    16-bit grey and floats are scaled by their range, transparency is laid over white, and colours are converted from
    the picture's ICC profile to sRGB. A profile that is damaged, or belongs to other colours, is left out, as viewers
    do.

    Returns:
        The picture, and what had to be mended: ``grey``, ``cmyk``, ``palette``, ``deep``, ``transparent``,
        ``colour_profile``, ``profile_ignored``.

    Raises:
        ColourError: nobody can say what these colours look like.
    """
    profile, mended = image.info.get("icc_profile"), []
    alpha = None
    if image.mode in _DEEP:
        image, alpha = _shallow(image)
        mended += ["deep", "grey"]
    elif image.has_transparency_data:
        alpha, image = _peeled(image)
    elif image.mode not in _MODES:
        raise ColourError(f"its colours are of a kind that is not read ({image.mode})")
    elif _MODES[image.mode]:
        mended.append(_MODES[image.mode])
    if image.mode in ("P", "1", "YCbCr"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile and image.mode in _PROFILED:
        image, what = _profiled(image, profile)
        mended += [what] if what else []
    image = image.convert("RGB")
    if alpha is None:
        return image, mended
    image.putalpha(alpha)
    # White, as a page behind the picture would be.
    layered = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return layered, [*mended, "transparent"]


def _peeled(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Transparency of a picture, and the colours beneath."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # A colour of 16 bits, of which the pixels have kept the high byte.
        image.info["transparency"] = tuple(level >> 8 for level in key)
    layered = image.convert("RGBA")
    beneath = "L" if image.mode in ("1", "L") else _LAYERED.get(image.mode, "RGB")
    return layered.getchannel("A"), layered.convert("RGB") if beneath == "RGB" else layered.getchannel("R")


def _shallow(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Deep grey as 8 bits, and its transparency where one level stands for it.

    Raises:
        ColourError: nothing says which level is white.
    """
    deep = np.asarray(image)
    levels = _float_levels(deep) if image.mode == "F" else _integer_levels(image, deep)
    key = image.info.get("transparency")
    alpha = None if not isinstance(key, int) else Image.fromarray(np.where(deep == key, 0, 255).astype(np.uint8))
    return Image.fromarray(levels), alpha


def _integer_levels(image: Image.Image, deep: np.ndarray) -> np.ndarray:
    tags = getattr(image, "tag_v2", {})  # Only a TIFF has them.
    bits = int(tags.get(_TIFF_BITS, (16,))[0])
    if image.mode == "I" and (tags or int(deep.min(initial=0)) < 0 or int(deep.max(initial=0)) > 65535):
        raise ColourError(
            f"it holds integers from {deep.min(initial=0)} to {deep.max(initial=0)}, of which nobody can say which is"
            " white; save it with 8 bits, or 16 without a sign"
        )
    levels = (deep.astype(np.uint16) >> (bits - 8)).astype(np.uint8)
    return 255 - levels if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO else levels


def _float_levels(deep: np.ndarray) -> np.ndarray:
    low, high = float(deep.min(initial=0.0)), float(deep.max(initial=0.0))
    if low >= 0 and high <= 1:
        return np.rint(deep * np.float32(255)).astype(np.uint8)
    if low >= 0 and high <= 255 and bool((deep == np.rint(deep)).all()):
        return deep.astype(np.uint8)
    raise ColourError(
        f"it holds floating-point levels from {low:g} to {high:g}, which must lie in [0, 1] or be whole numbers up to"
        " 255; save it with 8 or 16 bits"
    )


def _profiled(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """The picture in sRGB, and what had to be done for it; empty where it was in sRGB already."""
    try:
        transform = _transform_of(profile, image.mode)
        if transform is None:
            return image, ""
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # None is for transforms in place.
        return converted, "colour_profile"
    except Exception:  # Whatever a library says of bytes that are no profile, or one of other colours.
        return image, "profile_ignored"


@lru_cache(maxsize=32)
def _transform_of(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What takes colours of a profile to sRGB; None where they are the same."""
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "CMYK":
        return transform
    colours = np.mgrid[0:256:15, 0:256:15, 0:256:15].reshape(3, 1, -1).transpose(1, 2, 0).astype(np.uint8)
    probe = Image.fromarray(np.ascontiguousarray(colours)) if mode == "RGB" else Image.linear_gradient("L")
    there = ImageCms.applyTransform(probe, transform)
    moved = np.asarray(there).astype(int) - np.asarray(probe.convert("RGB")).astype(int)
    return None if np.abs(moved).max() <= _SAME else transform
