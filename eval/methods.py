"""How panoramas are drawn for an evaluation: by the checkpoint itself, or by what it has to be better than.

- ``outpaint``: the checkpoint, step by step.
- ``joint``: the checkpoint, all steps of a panorama denoised together and averaged where windows overlap
  (MultiDiffusion, arXiv:2302.08113), see `lit_outpaint.drawing.joint`.
- ``inpaint_loop``: the text-to-image model that the checkpoint grew from, step by step, through diffusers'
  ``StableDiffusionInpaintPipeline``. That class takes a U-Net of four channels and, after every denoising step, puts
  the noised latents of the known part back: what people do who have no inpainting model.

All get the same windows, captions, noise seeds, number of denoising steps, guidance and seam treatment.
"""

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eval.autoencoder import draw_real_latents
from eval.drawing import DrawAll, Drawing
from eval.inpaint_loop import draw_in_loop, load_text_to_image
from eval.run_config import LoopPrompt, MethodName
from eval.sources import load_outpaint_pipeline
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.plan import Listed, Plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.heldout.panoramas import view_px
from lit_outpaint.heldout.rollout import Rollout, changed_pixels, panorama_seed
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk
from lit_outpaint.models.overlay import OVERLAY_NAME, family_of
from lit_outpaint.outpainter import Outpainter, OutpainterConfig

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Method:
    """Who draws panoramas."""

    window_px: int
    """Side of the windows that the model was made for."""
    tokenizer: Any
    """Of the text encoder."""
    draw_all: DrawAll
    """Widens all panoramas."""


def load_method(name: MethodName, checkpoint: Path, loop_prompt: LoopPrompt, device: torch.device = CPU) -> Method:
    """Load a method.

    Args:
        name: which one.
        checkpoint: see `eval.sources.load_outpaint_pipeline`; for ``inpaint_loop`` an overlay, whose model family is
            taken, or such a family itself.
        loop_prompt: what ``inpaint_loop`` is told.
        device: where it draws.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: it is of another shape.
    """
    if name != "inpaint_loop":
        pipeline = load_outpaint_pipeline(checkpoint).to(device)
        ways: dict[str, DrawAll] = {
            "outpaint": partial(draw_in_steps, pipeline),
            "joint": partial(draw_together, pipeline),
            "autoencoder": partial(draw_real_latents, pipeline.encoders),
        }
        return Method(window_px=pipeline.window_px, tokenizer=pipeline.tokenizer, draw_all=ways[name])
    if not checkpoint.is_dir():
        raise FileNotFoundError(
            f"--method inpaint_loop needs a model family, or an overlay that stands on one, as --checkpoint; found no "
            f"directory {checkpoint}"
        )
    family = family_of(checkpoint) if (checkpoint / OVERLAY_NAME).is_file() else checkpoint
    base = load_text_to_image(family).to(device)
    return Method(
        window_px=int(base.unet.config.sample_size) * base.vae_scale_factor,
        tokenizer=base.tokenizer,
        draw_all=partial(draw_in_loop, base, loop_prompt),
    )


def draw_in_steps(pipeline: Any, drawing: Drawing) -> Rollout:
    """Let an `OutpaintPipeline` draw step by step."""
    view = view_px(drawing.sampling, drawing.geometry)
    return drawing.step_by_step(Outpainter(pipeline, config=drawing.sampling), view)


def draw_together(pipeline: Any, drawing: Drawing) -> Rollout:
    """Let an `OutpaintPipeline` draw all steps of a panorama together, panorama after panorama.

    Each gets the noise that `draw_in_steps` would use.
    """
    drawn = []
    for number, walk in enumerate(drawing.walks, 1):
        seed = panorama_seed(drawing.sampling.seed, walk.key)
        config = replace(drawing.sampling, engine="joint", seed=seed, batch_size=drawing.batch_size)
        drawn.append(_draw_together(pipeline, walk, drawing.geometry, config))
        drawing.report(f"{number}/{len(drawing.walks)} panoramas of {len(walk.local_captions)} steps")
    return Rollout([panorama for panorama, _ in drawn], np.stack([changed for _, changed in drawn]))


def _draw_together(
    pipeline: Any, walk: Walk, geometry: Geometry, config: OutpainterConfig
) -> tuple[Pixels, NDArray[np.int64]]:
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

        outpainter = Outpainter(pipeline, config=config)
        outpainter.run(canvas, outpainter.lay_out(plan, canvas.image_box), walk.global_caption, [check])
    return before, np.array(changed, dtype=np.int64)
