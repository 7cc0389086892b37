"""How panoramas are drawn for an evaluation: by the checkpoint itself, or by what it has to be better than.

- ``outpaint``: the checkpoint, step by step.
- ``joint``: the checkpoint, all steps of a panorama denoised together and averaged where windows overlap
  (MultiDiffusion, arXiv:2302.08113), see `lit_outpaint.joint`.
- ``inpaint_loop``: the text-to-image model that the checkpoint grew from, step by step, through diffusers'
  ``StableDiffusionInpaintPipeline``. That class takes a U-Net of four channels and, after every denoising step, puts
  the noised latents of the known part back: what people do who have no inpainting model.

All get the same windows, captions, noise seeds, number of denoising steps, guidance and seam treatment.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from numpy.typing import NDArray

from eval.sources import load_base_pipeline, load_outpaint_pipeline
from lit_outpaint.canvas.compositing import composite, to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import Box, box_mask
from lit_outpaint.canvas.joints import treat_joints
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import Listed, Plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.data.views import extend_visible
from lit_outpaint.diffusion.schedule import scheduler_class
from lit_outpaint.heldout import view_px
from lit_outpaint.models.unet import one_timestep, windows_at_once
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.overlay import OVERLAY_NAME, family_of
from lit_outpaint.rollout import Geometry, Pixels, Report, Rollout, Walk, changed_pixels, panorama_seed, roll_out

MethodName = Literal["outpaint", "joint", "inpaint_loop"]
LoopPrompt = Literal["local", "global", "both"]
METHODS: tuple[str, ...] = get_args(MethodName)


class Method(Protocol):
    """Draws panoramas."""

    window_px: int
    """Side of the windows that the model was made for."""
    tokenizer: Any
    """Of the text encoder."""

    def draw_all(
        self, walks: Sequence[Walk], geometry: Geometry, sampling: OutpainterConfig, batch_size: int, report: Report
    ) -> Rollout:
        """Widen all panoramas.

        Args:
            walks: what to draw.
            geometry: direction, window and stride.
            sampling: how; with the window and overlap of the geometry.
            batch_size: windows drawn at once; does not change the pictures.
            report: takes lines of progress.
        """
        ...


def load_method(name: MethodName, checkpoint: Path, loop_prompt: LoopPrompt) -> Method:
    """Load a method.

    Args:
        name: which one.
        checkpoint: see `eval.sources.load_outpaint_pipeline`; for ``inpaint_loop`` an overlay, whose model family is
            taken, or such a family itself.
        loop_prompt: what ``inpaint_loop`` is told.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: it is of another shape.
    """
    if name != "inpaint_loop":
        pipeline = load_outpaint_pipeline(checkpoint)
        return JointMethod(pipeline) if name == "joint" else OutpaintMethod(pipeline)
    if not checkpoint.is_dir():
        raise FileNotFoundError(
            f"--method inpaint_loop needs a model family, or an overlay that stands on one, as --checkpoint; found no "
            f"directory {checkpoint}"
        )
    return InpaintLoop(family_of(checkpoint) if (checkpoint / OVERLAY_NAME).is_file() else checkpoint, loop_prompt)


class OutpaintMethod:
    """The checkpoint, step by step.

    Args:
        pipeline: an `OutpaintPipeline`.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.window_px: int = pipeline.window_px
        self.tokenizer = pipeline.tokenizer

    def draw_all(
        self, walks: Sequence[Walk], geometry: Geometry, sampling: OutpainterConfig, batch_size: int, report: Report
    ) -> Rollout:
        """See `Method`."""
        return roll_out(
            Outpainter(self._pipeline, config=sampling),
            walks,
            geometry,
            view_px=view_px(sampling, geometry),
            seed=sampling.seed,
            batch_size=batch_size,
            report=report,
        )


class JointMethod:
    """The checkpoint, all steps of a panorama together; panorama after panorama, each as ``outpaint`` would draw it.

    Args:
        pipeline: an `OutpaintPipeline`.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.window_px: int = pipeline.window_px
        self.tokenizer = pipeline.tokenizer

    def draw_all(
        self, walks: Sequence[Walk], geometry: Geometry, sampling: OutpainterConfig, batch_size: int, report: Report
    ) -> Rollout:
        """See `Method`."""
        drawn = []
        for number, walk in enumerate(walks, 1):
            config = replace(
                sampling, engine="joint", seed=panorama_seed(sampling.seed, walk.key), batch_size=batch_size
            )
            drawn.append(self._draw(walk, geometry, config))
            report(f"{number}/{len(walks)} panoramas of {len(walk.local_captions)} steps")
        return Rollout([panorama for panorama, _ in drawn], np.stack([changed for _, changed in drawn]))

    def _draw(self, walk: Walk, geometry: Geometry, config: OutpainterConfig) -> tuple[Pixels, NDArray[np.int64]]:
        """A panorama, and the known pixels that each step changed."""
        plan = Plan(tuple(Listed(direction=geometry.direction, caption=text) for text in walk.local_captions))
        changed: list[int] = []
        with tempfile.TemporaryDirectory() as directory:
            canvas = Canvas.create(Path(directory), walk.first_window)
            before = walk.first_window

            def check(record: StepRecord) -> None:
                nonlocal before
                after = canvas.read(canvas.box)
                changed.append(changed_pixels(before, after, geometry))
                before = after

            Outpainter(self._pipeline, config=config).run(canvas, plan, walk.global_caption, [check])
        return before, np.array(changed, dtype=np.int64)


class InpaintLoop:
    """The base text-to-image model in diffusers' inpainting pipeline, window by window.

    The part to be drawn is filled with the nearest known pixels before the pipeline encodes the window: what lies there
    is not read, but an encoder that looks across the joint would take an empty part for content.

    Args:
        family: directory of a ``StableDiffusionPipeline`` whose U-Net reads four channels.
        prompt: the local caption, the global one, or both joined by a comma.

    Raises:
        FileNotFoundError: there is no such pipeline.
        ValueError: the U-Net reads another number of channels.
    """

    def __init__(self, family: Path, prompt: LoopPrompt) -> None:
        base = load_base_pipeline(family, "--checkpoint")
        channels = base.unet.config.in_channels
        if channels != base.vae.config.latent_channels:
            raise ValueError(
                f"--method inpaint_loop needs a text-to-image U-Net of {base.vae.config.latent_channels} channels, "
                f"that of {family} reads {channels}; give another --checkpoint"
            )
        parts = {**base.components, "safety_checker": None, "feature_extractor": None, "image_encoder": None}
        self._pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
        self._pipeline.set_progress_bar_config(disable=True)
        self._pipeline.vae.enable_slicing()
        self._prompt, self._sampling = prompt, OutpainterConfig()
        self._scheduler = base.scheduler
        self.window_px = int(base.unet.config.sample_size) * self._pipeline.vae_scale_factor
        self.tokenizer = base.tokenizer

    def draw_all(
        self, walks: Sequence[Walk], geometry: Geometry, sampling: OutpainterConfig, batch_size: int, report: Report
    ) -> Rollout:
        """See `Method`; ``guidance_rescale`` and ``seam_feather_cells`` are not looked at."""
        self._sampling = sampling
        kind = type(self._scheduler) if sampling.scheduler is None else scheduler_class(sampling.scheduler)
        self._pipeline.scheduler = kind.from_config(self._scheduler.config)
        return roll_out(
            self,
            walks,
            geometry,
            view_px=geometry.window_px,
            seed=sampling.seed,
            batch_size=batch_size,
            report=report,
        )

    def draw(
        self,
        known: Pixels,
        new: Sequence[Box],
        local_captions: Sequence[str],
        global_captions: Sequence[str],
        views: Sequence[Pixels],
        generators: Sequence[torch.Generator],
    ) -> Pixels:
        """See `lit_outpaint.rollout.Draws`; the views are not looked at."""
        at_once = windows_at_once(len(known), self._pipeline.device)
        drawn = []
        for begin in range(0, len(known), at_once):
            part = slice(begin, begin + at_once)
            prompts = [self._told(*texts) for texts in zip(local_captions[part], global_captions[part], strict=True)]
            decoded = self._decode(known[part], new[part], prompts, generators[part])
            drawn += [self._paste(*each) for each in zip(decoded, known[part], new[part], strict=True)]
        return np.stack(drawn)

    def _told(self, local: str, whole: str) -> str:
        return {"local": local, "global": whole, "both": f"{local}, {whole}"}[self._prompt]

    def _decode(
        self, known: Pixels, new: Sequence[Box], prompts: list[str], generators: Sequence[torch.Generator]
    ) -> Pixels:
        masks = torch.stack([box_mask(box, *known.shape[1:3]) for box in new])
        pairs = zip(to_pixel_values(known), masks, strict=True)
        with one_timestep(self._pipeline.unet):
            images = self._pipeline(
                prompt=prompts,
                image=torch.cat([extend_visible(window[None], mask) for window, mask in pairs]) / 2 + 0.5,
                mask_image=masks,
                height=known.shape[1],
                width=known.shape[2],
                num_inference_steps=self._sampling.num_inference_steps,
                guidance_scale=self._sampling.guidance_scale,
                generator=list(generators),
                output_type="pt",
            ).images
        return to_uint8(images * 2 - 1)

    def _paste(self, decoded: Pixels, known: Pixels, new: Box) -> Pixels:
        treated = treat_joints(decoded, known, new, self._sampling.seam, self._sampling.seam_reach_px)
        return composite(known, treated, box_mask(new, *known.shape[:2]))
