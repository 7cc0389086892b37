"""One grid of latent cells under all windows of a plan: where a window lies on it, and which cells windows cover."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from lit_outpaint.canvas.geometry import VAE_FACTOR, Box
from lit_outpaint.canvas.graph import Graph


class LatentGrid:
    """The latents of a region of the canvas; that of a ring is the whole ring, and windows reach over its end.

    Args:
        graph: the plan.
        windows: those that lie on the grid.

    Raises:
        ValueError: the windows do not lie on common cells.
    """

    def __init__(self, graph: Graph, windows: Sequence[Box]) -> None:
        region = reduce(Box.union, windows)
        if graph.circumference_px is not None:
            region = Box(graph.box.x0, region.y0, graph.box.x0 + graph.circumference_px, region.y1)
        for box in (*windows, region):
            if any((edge - start) % VAE_FACTOR for edge, start in _edges(box, region)):
                raise ValueError(
                    f"engine joint needs windows on common cells of {VAE_FACTOR} px, but those at [{region.x0}, "
                    f"{region.y0}] and [{box.x0}, {box.y0}] are not; give a picture of one window, or one that is "
                    f"larger by multiples of {2 * VAE_FACTOR} px"
                )
        self.region, self.is_ring = region, graph.circumference_px is not None
        self.shape = (region.height // VAE_FACTOR, region.width // VAE_FACTOR)
        self.coverage = torch.zeros(1, *self.shape)
        """In how many windows each cell lies."""
        for window in windows:
            self.add(self.coverage, window, torch.ones(()))

    def cut(self, latents: Shaped[Tensor, "c h w"], box: Box) -> Shaped[Tensor, "c bh bw"]:
        """The cells under a box, which may reach over the end of a ring."""
        rows, columns = self._place(box)
        return latents[:, rows][:, :, columns]

    def add(self, total: Float[Tensor, "c h w"], box: Box, values: Float[Tensor, "*cells"]) -> None:
        """Add values to the cells under a box, in place."""
        rows, columns = self._place(box)
        total[:, rows, columns] += values

    def fill(
        self, latents: Float[Tensor, "c h w"], empty: Bool[Tensor, "1 h w"], box: Box, values: Float[Tensor, "c bh bw"]
    ) -> None:
        """Set those cells under a box that are ``empty``, and mark them as filled; in place."""
        rows, columns = self._place(box)
        latents[:, rows, columns] = torch.where(self.cut(empty, box), values, self.cut(latents, box))
        empty[:, rows, columns] = False

    def widened(self, box: Box, cells: int) -> Box:
        """A box with up to this many more cells on each side where windows cover all of them."""
        more = cells * VAE_FACTOR
        limit = Box(box.x0 - more, self.region.y0, box.x1 + more, self.region.y1) if self.is_ring else self.region
        for left, up, right, down in ((more, 0, 0, 0), (0, 0, more, 0), (0, more, 0, 0), (0, 0, 0, more)):
            wider = Box(box.x0 - left, box.y0 - up, box.x1 + right, box.y1 + down).intersection(limit)
            if wider is not None and wider.width <= self.region.width and bool(self.cut(self.coverage, wider).all()):
                box = wider
        return box

    def _place(self, box: Box) -> tuple[slice, slice | Tensor]:
        x0, y0, x1, y1 = ((edge - start) // VAE_FACTOR for edge, start in _edges(box, self.region))
        # Only over the end of a ring by numbers: a GPU would be waited for to take them over from the CPU.
        columns = slice(x0, x1) if 0 <= x0 and x1 <= self.shape[1] else torch.arange(x0, x1) % self.shape[1]
        return slice(y0, y1), columns


def _edges(box: Box, region: Box) -> list[tuple[int, int]]:
    """Each edge of a box with the edge of the region from which it is counted."""
    return list(zip(box.as_tuple(), (region.x0, region.y0) * 2, strict=True))
