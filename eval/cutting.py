"""How the pictures of a folder are looked at: as panoramas, cut into windows, or whole."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from eval.folder import Captions, PictureFolder
from eval.functional.crops import crop_grid, cut
from lit_outpaint.canvas.geometry import HEADINGS, Direction
from lit_outpaint.heldout.feed import Compared, PanoramaBatch, named_by_geometry
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import ImageMetric, SampleId


class Feeds(Protocol):
    """Pictures, ready for metrics."""

    def feed(self, metric: ImageMetric) -> None:
        """Hand a metric what it wants to see."""
        ...


class Cutter:
    """Cuts the pictures of one folder.

    Args:
        images: the folder.
        window_px: side of windows; None looks at whole pictures.
        stride_px: their distance.
        direction: the side to which panoramas grew.

    Raises:
        ValueError: the window does not fit into the pictures.
    """

    def __init__(self, images: PictureFolder, window_px: int | None, stride_px: int, direction: Direction) -> None:
        self.window_px, self.stride_px = window_px, stride_px
        horizontal = HEADINGS[direction].axis == 0
        across, along = (images.height, images.width) if horizontal else (images.width, images.height)
        self.geometry: Geometry | None = None
        self.num_steps = 0
        if self.window_px is not None:
            if self.window_px > min(across, along):
                raise ValueError(
                    f"--window_px must fit into pictures of {images.width} x {images.height} px, got {self.window_px}"
                )
            if self.window_px == across and along >= self.window_px + self.stride_px:
                self.geometry = Geometry(direction, self.window_px, self.stride_px)
                self.num_steps = (along - self.window_px) // self.stride_px
        per_picture = self.num_steps or (
            len(crop_grid(images.height, images.width, self.window_px, self.stride_px)) if self.window_px else 1
        )
        self.num_samples = per_picture * len(images.paths)

    def told(self) -> str:
        """How pictures are looked at, in a few words."""
        if self.geometry is not None:
            return f"as panoramas that grew {self.geometry.direction} by {self.num_steps} steps"
        return "whole" if self.window_px is None else f"as a grid of windows of {self.window_px} px"

    def is_like(self, other: "Cutter") -> bool:
        """Whether pictures of another folder can be set beside these: panoramas that grew at least as far."""
        return self.geometry == other.geometry and other.num_steps >= self.num_steps

    def check_captions(self, captions: Mapping[str, Captions]) -> None:
        """Refuse local captions that do not go with the steps."""
        for key, row in captions.items():
            if row.local and self.geometry is None:
                raise ValueError(
                    f"--captions: local_captions ({key}) are of panoramas; give --window_px and --stride_px"
                )
            if row.local and len(row.local) <= self.num_steps:
                raise ValueError(
                    f"--captions: {key} needs {self.num_steps + 1} local_captions, of the start window and of each "
                    f"step; got {len(row.local)}"
                )

    def batch(self, rows: list[Compared]) -> Feeds:
        """Pictures, ready for metrics."""
        if self.geometry is not None:
            return PanoramaBatch(rows, self.geometry, self.num_steps)
        return _FlatBatch(rows, self.window_px, self.stride_px)

    def name(self, name: str, metric: ImageMetric) -> str:
        """The name of a score with what was looked at."""
        if self.geometry is not None:
            return named_by_geometry(name, metric.view, self.geometry)
        if self.window_px is not None and metric.view == "window":
            return f"{name}.window{self.window_px}-stride{self.stride_px}"
        return name.replace(".window", ".whole", 1) if metric.view == "window" else name


class _FlatBatch:
    """Pictures that are no panoramas: whole, or cut into a grid of windows."""

    def __init__(self, rows: Sequence[Compared], window_px: int | None, stride_px: int) -> None:
        self._rows, self._window_px, self._stride_px = rows, window_px, stride_px
        self._cut: dict[bool, tuple[Tensor, Tensor, list[str], list[SampleId]]] = {}

    def feed(self, metric: ImageMetric) -> None:
        """Hand a metric what it wants to see."""
        if metric.view == "strip":
            raise ValueError(
                "a metric of strips needs panoramas; give --window_px and --stride_px that fit the pictures"
            )
        whole = metric.view == "panorama"
        if whole not in self._cut:
            self._cut[whole] = self._batch(whole)
        metric.update(*self._cut[whole])

    def _batch(self, whole: bool) -> tuple[Tensor, Tensor, list[str], list[SampleId]]:
        sides = [[row.generated for row in self._rows], [row.reference for row in self._rows]]
        pieces = [[self._pieces(picture, whole) for picture in side if picture is not None] for side in sides]
        some = (pieces[0] or pieces[1])[0]
        generated, reference = (torch.cat(side) if side else some[:0] for side in pieces)
        captions = [row.global_caption for row in self._rows for _ in some]
        return generated, reference, captions, [SampleId(row.key, n) for row in self._rows for n in range(len(some))]

    def _pieces(self, picture: Tensor, whole: bool) -> Tensor:
        if whole or self._window_px is None:
            return picture[None]
        places = crop_grid(picture.shape[-2], picture.shape[-1], self._window_px, self._stride_px)
        return cut(picture, places, self._window_px)
