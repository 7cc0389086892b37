"""The baseline of people who have no inpainting model: a text-to-image model in diffusers' inpainting pipeline.

With a U-Net of four channels ``StableDiffusionInpaintPipeline`` puts the noised latents of the known part back after
every denoising step. Panoramas are drawn window by window.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline

from eval.drawing import Drawing
from eval.run_config import LoopPrompt
from eval.sources import load_base_pipeline
from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.pasting import paste
from lit_outpaint.data.views import extend_visible
from lit_outpaint.diffusion.schedule import scheduler_class
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.heldout.rollout import Rollout
from lit_outpaint.heldout.walks import Pixels
from lit_outpaint.models.reproducible import one_timestep, windows_at_once
from lit_outpaint.outpainter import OutpainterConfig


def load_text_to_image(family: Path) -> Any:
    """The ``StableDiffusionPipeline`` of a model family.

    Raises:
        FileNotFoundError: there is none.
        ValueError: its U-Net reads more than latents.
    """
    base = load_base_pipeline(family, "--checkpoint")
    channels, latents = base.unet.config.in_channels, base.vae.config.latent_channels
    if channels != latents:
        raise ValueError(
            f"--method inpaint_loop needs a text-to-image U-Net of {latents} channels, that of {family} reads "
            f"{channels}; give another --checkpoint"
        )
    return base


def draw_in_loop(base: Any, prompt: LoopPrompt, drawing: Drawing) -> Rollout:
    """Let an `InpaintLoop` draw window after window."""
    return drawing.step_by_step(InpaintLoop(base, prompt, drawing.sampling), drawing.geometry.window_px)


class InpaintLoop:
    """Draws windows with the inpainting pipeline.

    The part to be drawn is filled with the nearest known pixels before the pipeline encodes the window: what lies there
    is not read, but an encoder that looks across the seam would take an empty part for content.

    Args:
        base: see `load_text_to_image`.
        prompt: the local caption, the global one, or both joined by a comma.
        sampling: how; ``guidance_rescale``, ``seam_feather_cells`` and ``compile`` are not looked at.
    """

    def __init__(self, base: Any, prompt: LoopPrompt, sampling: OutpainterConfig) -> None:
        kind = type(base.scheduler) if sampling.scheduler is None else scheduler_class(sampling.scheduler)
        parts = {**base.components, "safety_checker": None, "feature_extractor": None, "image_encoder": None}
        parts["scheduler"] = kind.from_config(base.scheduler.config)
        self._pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
        self._pipeline.set_progress_bar_config(disable=True)
        self._pipeline.vae.enable_slicing()
        self._prompt, self._sampling = prompt, sampling

    def draw(self, requests: Sequence[WindowRequest]) -> Pixels:
        """Fill the new part of windows (`lit_outpaint.heldout.rollout.Draws`); the views are not looked at."""
        at_once = windows_at_once(len(requests), self._pipeline.device)
        drawn = []
        for begin in range(0, len(requests), at_once):
            some = requests[begin : begin + at_once]
            for decoded, asked in zip(self._decode(some), some, strict=True):
                drawn.append(paste(decoded, asked.known, asked.new, self._sampling.seam, self._sampling.seam_reach_px))
        return np.stack(drawn)

    def _told(self, asked: WindowRequest) -> str:
        local, whole = asked.caption, asked.global_caption
        return {"local": local, "global": whole, "both": f"{local}, {whole}"}[self._prompt]

    def _decode(self, requests: Sequence[WindowRequest]) -> Pixels:
        known = np.stack([asked.known for asked in requests])
        masks = torch.stack([asked.mask for asked in requests])
        pairs = zip(to_pixel_values(known), masks, strict=True)
        with one_timestep(self._pipeline.unet):
            images = self._pipeline(
                prompt=[self._told(asked) for asked in requests],
                image=torch.cat([extend_visible(window[None], mask) for window, mask in pairs]) / 2 + 0.5,
                mask_image=masks,
                height=known.shape[1],
                width=known.shape[2],
                num_inference_steps=self._sampling.num_inference_steps,
                guidance_scale=self._sampling.guidance_scale,
                generator=[asked.generator for asked in requests],
                output_type="pt",
            ).images
        return to_uint8(images * 2 - 1)
