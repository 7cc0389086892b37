"""Pictures on their way to a language model: no larger than it needs, and as text where they go over a wire."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

_JPEG_QUALITY: Final = 92
_PNG_UP_TO_PX: Final = 256 * 256
"""Small windows go without loss; above this area JPEG saves tokens of time on the wire."""


def shown(image: Image, side_px: int) -> Image:
    """The picture in RGB, scaled down so that its longer side is at most ``side_px``; never scaled up."""
    image = image.convert("RGB")
    longer = max(image.size)
    if longer <= side_px:
        return image
    width, height = (max(1, round(side * side_px / longer)) for side in image.size)
    return image.resize((width, height))


def data_url(image: Image) -> str:
    """The picture as a ``data:`` address: PNG when small, JPEG otherwise."""
    small = image.width * image.height <= _PNG_UP_TO_PX
    buffer = io.BytesIO()
    if small:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{'png' if small else 'jpeg'};base64,{text}"
