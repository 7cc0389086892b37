"""Reading a picture from disk as plain RGB: rotated, flattened, checked; and scaling it to the model's window."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_IMAGE_PX = 100_000_000
"""Larger pictures are refused before they are decoded: a small file can unpack to gigabytes."""

MAX_ENLARGED = 4
"""How many times larger a small picture is made at most; beyond that there is nothing to see in it."""


def load_image(path: Path, max_px: int = MAX_IMAGE_PX) -> UInt8[ndarray, "h w 3"]:
    """Load the first frame of a picture as RGB.

    EXIF rotation is applied, transparency is laid over white, grey, palette, CMYK and 16-bit pictures are converted.

    Args:
        path: a picture in any format that Pillow reads.
        max_px: the most pixels that are decoded.

    Raises:
        ValueError: the file is missing, no picture, damaged or too large.
    """
    if not path.is_file():
        raise ValueError(
            f"the image must be a file, got {path}, which {'is a directory' if path.is_dir() else 'is missing'}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Our own limit follows.
            with Image.open(path) as image:
                width, height = image.size
                if width * height > max_px:
                    raise ValueError(f"the image must have at most {max_px} pixels, got {width} x {height} in {path}")
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ValueError(f"the image must be a picture, but {path} is in no known format") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"the image must have at most {max_px} pixels, {path} has far more") from error
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for broken chunks.
        raise ValueError(f"the image {path} cannot be read: {' '.join(str(error).split())}") from error


def shrink_to_window(image: UInt8[ndarray, "h w 3"], window_px: int) -> UInt8[ndarray, "sh sw 3"]:
    """Scale the picture down so that its shorter side is one window; smaller or equal ones stay as they are."""
    return _scale_to_window(image, window_px) if min(image.shape[:2]) > window_px else image


def enlarge_to_window(image: UInt8[ndarray, "h w 3"], window_px: int) -> UInt8[ndarray, "sh sw 3"]:
    """Scale the picture up so that its shorter side is one window; larger or equal ones stay as they are.

    Raises:
        ValueError: the picture would have to grow more than `MAX_ENLARGED` times.
    """
    height, width = image.shape[:2]
    if min(height, width) * MAX_ENLARGED < window_px:
        raise ValueError(
            f"the image must have at least {-(-window_px // MAX_ENLARGED)} px on its shorter side for a window of"
            f" {window_px} px, got {width} x {height}; give a larger image"
        )
    return _scale_to_window(image, window_px) if min(height, width) < window_px else image


def _scale_to_window(image: UInt8[ndarray, "h w 3"], window_px: int) -> UInt8[ndarray, "sh sw 3"]:
    height, width = image.shape[:2]
    shorter = min(height, width)
    size = tuple(max(round(side * window_px / shorter), window_px) for side in (width, height))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _to_rgb(image: Image.Image) -> UInt8[ndarray, "h w 3"]:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _deep_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(image.convert("RGB"))


def _deep_to_rgb(image: Image.Image) -> UInt8[ndarray, "h w 3"]:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion would clip everything bright to white."""
    grey = np.asarray(image, dtype=np.float64)
    top = 1.0 if image.mode == "F" and grey.max(initial=0.0) <= 1.0 else 65535.0
    levels = np.clip(np.rint(grey * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)
