"""The canvas as a deep zoom image (DZI): a folder of small tiles per level, of which a viewer fetches what it shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from numpy import ndarray
from PIL import Image

from lit_outpaint.canvas.export.pyramid import Pyramid
from lit_outpaint.canvas.store import Canvas

TILES_NAME = "panorama"
_TILE_PX = 256
_QUALITY = 90
_NAMESPACE = "http://schemas.microsoft.com/deepzoom/2008"


def write_deep_zoom(canvas: Canvas, directory: Path) -> dict[str, Any]:
    """Write ``panorama.dzi`` and ``panorama_files`` into a directory that holds none yet.

    Tiles are JPEG; where the bounding box holds unknown pixels they are PNG, and those pixels are transparent.

    Returns:
        What the DZI file says, in the form that OpenSeadragon takes as a tile source.
    """
    pyramid = Pyramid(canvas, _TILE_PX, smallest_px=1)
    name, options = ("png", {}) if pyramid.channels == 4 else ("jpg", {"quality": _QUALITY, "subsampling": 0})
    tiles = directory / f"{TILES_NAME}_files"
    for level in range(len(pyramid.sizes)):
        (tiles / str(level)).mkdir(parents=True)
    blanks: dict[tuple[int, ...], bytes] = {}

    def write(level: int, column: int, row: int, pixels: ndarray) -> None:
        blank = pyramid.channels == 4 and not pixels[..., 3].any()
        data = blanks.get(pixels.shape) if blank else None
        if data is None:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG" if name == "png" else "JPEG", **options)
            data = buffer.getvalue()
        if blank:
            blanks[pixels.shape] = data
        # Deep zoom counts levels from one pixel up.
        (tiles / str(len(pyramid.sizes) - 1 - level) / f"{column}_{row}.{name}").write_bytes(data)

    pyramid.walk(write)
    width, height = pyramid.sizes[0]
    image = {"xmlns": _NAMESPACE, "Format": name, "Overlap": "0", "TileSize": str(_TILE_PX)}
    words = " ".join(f"{key}={quoteattr(value)}" for key, value in image.items())
    size = f'<Size Width="{width}" Height="{height}"/>'
    (directory / f"{TILES_NAME}.dzi").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Image {words}>\n  {size}\n</Image>\n'
    )
    return {"Image": {**image, "Url": f"{TILES_NAME}_files/", "Size": {"Width": str(width), "Height": str(height)}}}
