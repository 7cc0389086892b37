"""The joint engine: all windows of a plan denoised together on one canvas of latents.

After Bar-Tal et al. 2023, "MultiDiffusion" (arXiv:2302.08113): at every timestep the U-Net looks at each window of the
latent canvas, and where windows overlap its predictions are averaged; the average is the least-squares answer to what
all of them ask for. Here views run in batches, the prediction is averaged and then the scheduler takes one step with
the whole canvas (so that any diffusers scheduler will do), and each window has its own captions.

Against the engine that goes step by step nothing is ever finished before the end: windows without known pixels are
denoised as windows of which all is to be generated, and memory grows with the plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import max_pool2d

from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import VAE_FACTOR, Box
from lit_outpaint.canvas.graph import Graph, PlannedStep
from lit_outpaint.canvas.latent_grid import LatentGrid
from lit_outpaint.canvas.seeding import window_generator
from lit_outpaint.data.views import blank_masked
from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.engine import SceneText, WindowRequest
from lit_outpaint.models.denoiser import Known
from lit_outpaint.models.reproducible import one_timestep, windows_at_once
from lit_outpaint.pipeline import OutpaintPipeline

_GRID_COPIES = 16
"""Canvases of latents that are held at once: noise, latents, sums, and what a scheduler remembers."""


class Stopped(Exception):
    """Somebody asked to stop while windows were denoised; nothing has been drawn."""


class _Views(NamedTuple):
    """A batch of windows and what maps their latents to the guided prediction."""

    windows: list[Box]
    predict: Callable[[Tensor, Tensor], Tensor]


class JointEngine:
    """Draws windows that were denoised together, and decodes them one by one.

    Args:
        pipeline: its parts are used.
        config: how windows are drawn.
        grid: of the windows, see `check_joint`.
        scene: encodes global captions.
    """

    interruptible: Final = False

    def __init__(
        self, pipeline: OutpaintPipeline, config: OutpainterConfig, grid: LatentGrid, scene: SceneText
    ) -> None:
        self.grid, self.seconds_per_step = grid, 0.0
        self._pipeline, self._config, self._scene = pipeline, config, scene
        self._latents: Tensor | None = None

    @torch.no_grad()
    def denoise(
        self,
        requests: Iterable[WindowRequest],
        should_stop: Callable[[], bool],
        on_timestep: Callable[[int, int], None],
    ) -> None:
        """Denoise all windows that `draw` will be asked for.

        Args:
            requests: one per window, in the order of the steps; taken batch by batch, to hold few pixels at once.
            should_stop: asked before every timestep.
            on_timestep: told after every timestep how many are done, and of how many.

        Raises:
            Stopped: it said so.
        """
        started = time.perf_counter()
        grid, pipeline = self.grid, self._pipeline
        noise, batches = self._taken(iter(requests))
        noise = noise.to(pipeline.device, pipeline.unet.dtype)
        coverage = grid.coverage.clamp(min=1).to(noise)
        done = 0

        def predict(latents: Tensor, timestep: Tensor) -> Tensor:
            nonlocal done
            if should_stop():
                raise Stopped
            total = torch.zeros_like(latents[0])
            for windows, predict_windows in batches:
                views = torch.stack([grid.cut(latents[0], window) for window in windows])
                # Sums are taken in the order of the steps, so that they do not depend on the batch size.
                for window, model_pred in zip(windows, predict_windows(views, timestep), strict=True):
                    grid.add(total, window, model_pred)
            done += 1
            on_timestep(done, len(pipeline.scheduler.timesteps))
            return (total / coverage)[None]

        with one_timestep(pipeline.unet):
            latents = denoise(
                predict,
                noise[None],
                pipeline.scheduler,
                self._config.num_inference_steps,
                [window_generator(self._config.seed, grid.region, "right")],
            )
        self._latents = latents[0]
        self.seconds_per_step = (time.perf_counter() - started) / sum(len(batch.windows) for batch in batches)

    @torch.no_grad()
    def draw(self, requests: Sequence[WindowRequest]) -> UInt8[ndarray, "b h w 3"]:
        """Windows that were denoised, each decoded with ``joint_halo_cells`` more cells around it."""
        assert self._latents is not None, "denoise first"
        halo_cells = self._config.joint_halo_cells
        tiles = [decode_tile(self._pipeline, self.grid, self._latents, each.window, halo_cells) for each in requests]
        return to_uint8(torch.cat(tiles))

    def _taken(self, requests: Iterator[WindowRequest]) -> tuple[Float[Tensor, "c h w"], list[_Views]]:
        """The noise of the grid, and all windows in batches with their conditions: the bulk of what is in memory."""
        at_once = windows_at_once(self._config.batch_size, self._pipeline.device)
        noise = torch.zeros(int(self._pipeline.unet.config.out_channels), *self.grid.shape)
        empty = torch.ones(1, *self.grid.shape, dtype=torch.bool)
        batches = []
        while some := list(islice(requests, at_once)):
            # Every step brings the noise of its new part, the same that it has when windows are drawn one by one.
            for each in some:
                cells = (each.window.height // VAE_FACTOR, each.window.width // VAE_FACTOR)
                own = torch.randn(len(noise), *cells, generator=each.generator)
                self.grid.fill(noise, empty, each.window, own)
            batches.append(self._views(some))
        return noise, batches

    def _views(self, some: Sequence[WindowRequest]) -> _Views:
        """One batch of windows and their conditions."""
        config, pipeline = self._config, self._pipeline
        pixel_values = to_pixel_values(np.stack([each.known for each in some]))
        mask = torch.stack([each.mask for each in some])
        features = pipeline.encode(
            len(some),
            [each.caption for each in some],
            [each.global_caption for each in some],
            [to_pixel_values(each.view[None])[0] for each in some],
            self._scene.of(some),
        )
        context = pipeline.condition(features, config)
        masked_image_latents = pipeline.encoders.encode_mode(blank_masked(pixel_values, mask)).to(pipeline.unet.dtype)
        cells = max_pool2d(mask, VAE_FACTOR).to(masked_image_latents.device)
        size = (masked_image_latents.shape[2], masked_image_latents.shape[3])
        predict = pipeline.denoiser.guided(context, Known(cells, masked_image_latents), size, config)
        return _Views([each.window for each in some], predict)


def decode_tile(
    pipeline: OutpaintPipeline, grid: LatentGrid, latents: Float[Tensor, "c h w"], window: Box, halo_cells: int
) -> Float[Tensor, "1 3 wh ww"]:
    """Decode one window out of a canvas of latents.

    A decoder looks further than a window: its convolutions over neighbouring cells, attention and normalisation over
    everything. A halo shows it the neighbours; the rest of the difference to decoding everything at once is measured
    in ``benchmarks/outpaint``.

    Args:
        pipeline: its autoencoder decodes.
        grid: where windows lie on the latents.
        latents: of the whole grid, scaled.
        window: what is wanted.
        halo_cells: cells that are decoded around it, as far as windows cover them, and cut off.
    """
    tile = grid.widened(window, halo_cells)
    pixels = pipeline.encoders.decode(grid.cut(latents, tile)[None])
    part = window.shift(-tile.x0, -tile.y0)
    return pixels[:, :, part.y0 : part.y1, part.x0 : part.x1]


def check_joint(
    pipeline: OutpaintPipeline, config: OutpainterConfig, graph: Graph, steps: Sequence[PlannedStep]
) -> LatentGrid:
    """The grid of steps that are to be denoised together.

    Raises:
        ValueError: their windows do not lie on common cells, or they would take more than ``joint_memory_mib``.
    """
    grid = LatentGrid(graph, [step.window for step in steps])
    row_numbers = pipeline.context.rows * int(pipeline.unet.config.cross_attention_dim)
    window_cells = (steps[0].window.height // VAE_FACTOR) * (steps[0].window.width // VAE_FACTOR)
    channels = int(pipeline.unet.config.out_channels)
    copies = 2 if config.guidance_scale > 1 else 1
    numbers = len(steps) * copies * (row_numbers + (channels + 1) * window_cells)
    numbers += _GRID_COPIES * channels * grid.shape[0] * grid.shape[1]
    mib = numbers * pipeline.unet.dtype.itemsize / 2**20
    if mib > config.joint_memory_mib:
        raise ValueError(
            f"engine joint would hold {len(steps)} windows in about {mib:.0f} MiB, the limit is joint_memory_mib "
            f"{config.joint_memory_mib}; draw fewer steps at once, raise it, or use engine steps"
        )
    return grid
