"""A picture of the whole scene, drawn once from the global caption by the family's frozen text-to-image model.

It is the third reading of what the vision encoder looks at (`OutpainterConfig.visual_source`): not the canvas, but what
the base model imagines under the global caption. See section 1.2 of Kwon et al. 2024 (arXiv:2407.12642).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from lit_outpaint.canvas.image_io import load_image
from lit_outpaint.models.overlay import family_of
from lit_outpaint.system.files import written_whole
from lit_outpaint.system.one_line import one_line

FILE_NAME = "global_view.png"


def check_global_view(model: Path) -> None:
    """Refuse a model that could not draw the picture, before a run is made for it.

    Raises:
        ValueError: the model stands on no family, or the family has no text-to-image U-Net.
    """
    family = family_of(model)
    if not all((family / name).is_file() for name in ("model_index.json", "unet/config.json")):
        raise ValueError(
            f"visual_source image_from_global_caption needs a text-to-image model beneath {model}, {family} is none"
        )


def global_view(
    model: Path, caption: str, directory: Path, *, seed: int, num_inference_steps: int, guidance_scale: float
) -> UInt8[ndarray, "h w 3"]:
    """The picture of a run: drawn when the run begins, read from its directory ever after.

    Args:
        model: an outpainting pipeline that stands on a model family.
        caption: the whole scene.
        directory: of the run.
        seed: of the run.
        num_inference_steps: denoising steps.
        guidance_scale: how much the caption is obeyed.

    Raises:
        ValueError: the model stands on no family, or the family has no text-to-image U-Net.
    """
    path = directory / FILE_NAME
    if path.is_file():
        return load_image(path)
    import torch
    from diffusers import StableDiffusionPipeline

    try:
        pipeline = StableDiffusionPipeline.from_pretrained(family_of(model), local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"visual_source image_from_global_caption needs a text-to-image model beneath {model}: {one_line(error)}"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        caption,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(seed % 2**64),
        output_type="np",
    ).images[0]
    pixels = np.rint(np.clip(drawn, 0, 1) * 255).astype(np.uint8)
    with written_whole(path) as draft:
        Image.fromarray(pixels).save(draft, format="PNG")
    return pixels
