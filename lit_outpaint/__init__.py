"""Text-guided outpainting without bounds: train, widen, measure.

Names are resolved on first use, so that importing a torch-free part (``lit_outpaint.data.schema``) stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_outpaint.canvas.store import Canvas
    from lit_outpaint.data.datamodule import OutpaintDataModule
    from lit_outpaint.models.context import ContextEncoder, PromptEncoder
    from lit_outpaint.module import OutpaintModule
    from lit_outpaint.outpainter import Outpainter
    from lit_outpaint.pipeline import OutpaintPipeline
    from lit_outpaint.protocols import Captioner
    from lit_outpaint.text_to_image import TextToImagePipeline

__version__ = "0.1.0"

__all__ = [
    "Canvas",
    "Captioner",
    "ContextEncoder",
    "OutpaintDataModule",
    "OutpaintModule",
    "OutpaintPipeline",
    "Outpainter",
    "PromptEncoder",
    "TextToImagePipeline",
]

_HOMES = {
    "Canvas": "lit_outpaint.canvas.store",
    "Captioner": "lit_outpaint.protocols",
    # diffusers finds the class of a saved pipeline part by the name of the top-level package.
    "ContextEncoder": "lit_outpaint.models.context",
    "OutpaintDataModule": "lit_outpaint.data.datamodule",
    "OutpaintModule": "lit_outpaint.module",
    "OutpaintPipeline": "lit_outpaint.pipeline",
    "Outpainter": "lit_outpaint.outpainter",
    "PromptEncoder": "lit_outpaint.models.context",
    "TextToImagePipeline": "lit_outpaint.text_to_image",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
