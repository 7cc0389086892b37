"""Frechet distances made for pictures larger than the network's input."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, stack
from torch.nn.functional import interpolate

from eval.extractors import FeatureExtractor, weights_of
from eval.functional.crops import crop_grid, cut
from eval.metrics.base import metric_name
from eval.metrics.fid import FrechetSums
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import CaptionOf, NotComputable, SampleId

Join = Literal["mean_over_blocks", "pooled"]


class BlockFID(FrechetSums):
    """Block-FID of one direction: Frechet distance block by block along the grown part of panoramas.

    NUWA-Infinity (arXiv:2207.09814) reports one value per direction; how it cuts blocks and joins their values was not
    found, so both are settings and part of the name, and its values cannot be set beside these.

    Args:
        num_blocks: blocks beyond the start window, nearest first.
        block_px: side of a block; panoramas are this high (wide, for up and down).
        direction: the side that grew.
        extractor: makes the features.
        join: a distance for every place of a block, averaged; or one for the blocks of all places together.
    """

    caption: CaptionOf = "global"

    def __init__(
        self,
        num_blocks: int,
        block_px: int,
        direction: Direction = "right",
        extractor: str | FeatureExtractor = "inception",
        join: Join = "mean_over_blocks",
    ) -> None:
        if num_blocks < 1 or block_px < 1:
            raise ValueError(f"num_blocks and block_px must be positive, got {num_blocks} and {block_px}")
        super().__init__(extractor, "panorama", num_blocks if join == "mean_over_blocks" else 1)
        self.num_blocks, self.block_px, self.direction, self.join = num_blocks, block_px, direction, join
        self._geometry = Geometry(direction, block_px, block_px)

    def take(self, side: str, pictures: Tensor, samples: Sequence[SampleId]) -> None:
        """Take in pictures of one side.

        Raises:
            ValueError: panoramas of another size.
        """
        height, width = pictures.shape[-2:]
        across, along = (height, width) if self._geometry.horizontal else (width, height)
        if across != self.block_px or along < self._geometry.length(self.num_blocks):
            raise ValueError(
                f"Block-FID {self.direction} with {self.num_blocks} blocks of {self.block_px} px needs panoramas of "
                f"{self.block_px} x {self._geometry.length(self.num_blocks)} px or more, got {width} x {height} px"
            )
        for block in range(self.num_blocks):
            pieces = stack([window_of(picture, self._geometry, block + 1) for picture in pictures])
            self.add(side, block if self.num_sets > 1 else 0, pieces)

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        distances = [self.distance(index) for index in range(self.num_sets)]
        how = f"{self.num_blocks}x{self.block_px}-{self.join}"
        name = metric_name("block_fid", self.direction, self.extractor.name, how, self.counts())
        return {name: sum(distances) / len(distances)}

    @property
    def reference_key(self) -> str:
        """What the state of the real side depends on besides the pictures."""
        network = f"{self.extractor.name}/{weights_of(self.extractor)}"
        return f"block/{network}/{self.direction}/{self.num_blocks}x{self.block_px}/{self.join}"

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        joined = "averaged over the places of blocks" if self.join == "mean_over_blocks" else "over all blocks together"
        return (
            f"FID with {self.extractor.name} between generated and real blocks of {self.block_px} px beyond the start "
            f"window towards {self.direction}, {self.num_blocks} of them, {joined}. Our reading of the name."
        )


class ScaleInvariantFID(FrechetSums):
    """Scale-invariant FID: generated pictures of several times the side, made smaller, against real ones as they are.

    Every whole square of ``scale * window_px`` of a generated picture is reduced to ``window_px``; real pictures are
    cut into squares of ``window_px``. Only a picture that holds together as a whole comes near them.

    Args:
        scale: how many times larger the generated squares are.
        window_px: side at which features are taken.
        extractor: makes the features.
        resize: how squares are reduced; the paper's own filter depends on a switch of its code.

    Source: Lin et al. 2022 (InfinityGAN, arXiv:2104.03963) and its evaluation code.
    """

    caption: CaptionOf = "global"

    def __init__(
        self,
        scale: int,
        window_px: int,
        extractor: str | FeatureExtractor = "inception",
        resize: Literal["area", "bilinear_antialias"] = "area",
    ) -> None:
        if scale < 1 or window_px < 1:
            raise ValueError(f"scale and window_px must be positive, got {scale} and {window_px}")
        super().__init__(extractor, "panorama", num_sets=1)
        self.scale, self.window_px, self.resize = scale, window_px, resize
        self._too_small = ""

    def reset(self) -> None:
        """Forget everything taken in."""
        super().reset()
        self._too_small = ""

    def take(self, side: str, pictures: Tensor, samples: Sequence[SampleId]) -> None:
        """Take in pictures of one side."""
        size = self.window_px * (self.scale if side == "generated" else 1)
        if size > min(pictures.shape[-2:]):
            self._too_small = (
                f"the scale-invariant FID at scale {self.scale} needs {side} pictures of at least {size} x {size} px, "
                f"got {pictures.shape[-1]} x {pictures.shape[-2]} px"
            )
            return
        for picture in pictures:
            squares = cut(picture, crop_grid(picture.shape[-2], picture.shape[-1], size, size), size)
            if size != self.window_px:
                target = (self.window_px, self.window_px)
                if self.resize == "area":
                    squares = interpolate(squares, target, mode="area")
                else:
                    squares = interpolate(squares, target, mode="bilinear", antialias=True)
            self.add(side, 0, squares)

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        if self._too_small:
            raise NotComputable(self._too_small)
        how = f"x{self.scale}-{self.window_px}-{self.resize}"
        return {metric_name("scaleinv_fid", self.extractor.name, how, self.counts()): self.distance(0)}

    @property
    def reference_key(self) -> str:
        """What the state of the real side depends on besides the pictures."""
        return f"scaleinv/{self.extractor.name}/{weights_of(self.extractor)}/{self.window_px}"

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"FID with {self.extractor.name} between generated squares of {self.scale * self.window_px} px reduced to "
            f"{self.window_px} px ({self.resize}) and real squares of {self.window_px} px."
        )


def window_of(picture: Tensor, geometry: Geometry, step: int) -> Tensor:
    """The window after a step of a picture ``(3, H, W)``; 0 is the start window."""
    piece = geometry.window_span(picture.shape[-1 if geometry.horizontal else -2], step)
    return picture[..., piece] if geometry.horizontal else picture[..., piece, :]
