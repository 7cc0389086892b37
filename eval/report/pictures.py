"""Pictures inside a page, so that it needs no other file."""

import base64
import io

from PIL import Image

from lit_outpaint.heldout.walks import Pixels


def data_uri(image: Pixels) -> str:
    """A picture ``(H, W, 3)`` as a PNG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
