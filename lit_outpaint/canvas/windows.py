"""Windows as they stand on a canvas: their pixels, and which of them are known."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.store import Canvas


def read_window(canvas: Canvas, graph: Graph, window: Box) -> UInt8[ndarray, "h w 3"]:
    """The pixels of a window, which may reach over the end of a ring; unknown ones are 0."""
    return np.concatenate([canvas.read(place) for _, place in graph.parts_of(window)], axis=1)


def unknown_mask(canvas: Canvas, graph: Graph, window: Box) -> Float[Tensor, "1 h w"]:
    """1 where a window is not known yet, 0 where it is."""
    alpha = [canvas.read_with_alpha(place)[:, :, 3:] for _, place in graph.parts_of(window)]
    return torch.from_numpy(np.concatenate(alpha, axis=1) == 0).permute(2, 0, 1).float()
