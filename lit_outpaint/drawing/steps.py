"""The engine that goes step by step: each window is denoised by itself, from what is known by then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.engine import SceneText, WindowRequest
from lit_outpaint.pipeline import OutpaintPipeline


class StepsEngine:
    """Draws a batch of windows that do not need each other.

    Args:
        pipeline: draws.
        config: how.
        scene: encodes global captions.
        regions_until: share of the denoising steps after which regions act no more.
    """

    interruptible: Final = True
    seconds_per_step: Final = 0.0

    def __init__(
        self, pipeline: OutpaintPipeline, config: OutpainterConfig, scene: SceneText, regions_until: float = 1.0
    ) -> None:
        self._pipeline, self._config, self._scene, self._regions_until = pipeline, config, scene, regions_until

    def draw(self, requests: Sequence[WindowRequest]) -> UInt8[ndarray, "b h w 3"]:
        """Denoise and decode the windows."""
        windows = self._pipeline.draw(
            to_pixel_values(np.stack([request.known for request in requests])),
            torch.stack([request.mask for request in requests]),
            [request.caption for request in requests],
            [request.global_caption for request in requests],
            [to_pixel_values(request.view[None])[0] for request in requests],
            sampling=self._config,
            feather_cells=self._config.seam_feather_cells,
            generator=[request.generator for request in requests],
            features=self._scene.of(requests),
            compiled=self._config.compile,
            regions=[request.regions for request in requests],
            end_fraction=self._regions_until,
        )
        return to_uint8(windows)
