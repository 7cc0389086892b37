"""Settings of the ``coco`` source."""

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from data_prep.config import at_least
from lit_outpaint.data.schema import MAX_IMAGE_PX

DEFAULT_WINDOW_PX: Final = 512
"""Of Stable Diffusion 1.5."""

_SPLIT: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, kw_only=True)
class CocoConfig:
    """Which images of MS-COCO to take, and how windows are cut from them."""

    root: str = "data/coco/download"
    """Folder with train2017/ and annotations/captions_train2017.json, or with the zips that hold them."""
    split: str = "train2017"
    """Images to train on."""
    val_split: str | None = None
    """Held-out images for the validation loss, for example val2017; none when left out."""
    limit: int | None = None
    """Take the first images only, in the order of their numbers; all when left out."""
    val_limit: int | None = None
    """The same for the held-out images."""
    window_px: int | None = None
    """Side of the windows; when left out that of the model family (``all``) or 512 (``coco`` alone)."""
    crop: Literal["centre", "random"] = "centre"
    """Which square of an image becomes the window; random is seeded by the image's number."""
    around: bool = False
    """Store visual features of the image around each window, too, for ``data.visual_view: picture``."""
    min_side_px: int = 256
    """Images whose shorter side is below this are left out; between this and window_px they are enlarged."""
    quality: int = 95
    """WebP quality of the stored windows; 100 stores them without loss, four times as large."""
    seed: int = 0
    """Decides which caption is the local one, and random crops."""
    samples_per_shard: int = 500
    """Windows in one tar; make at least as many shards as ranks and as loader processes."""
    max_lost: float = 0.01
    """Share of the images that may be missing or unreadable, at least one unless it is 0; more end the work, for a
    folder was unzipped in part, or a disk is not there."""
    sums: str | None = None
    """File of MD5 or SHA-256 sums, one ``SUM  NAME`` a line, that the zips are checked against."""

    def __post_init__(self) -> None:
        at_least(self, 1, "min_side_px", "quality", "samples_per_shard")
        at_least(self, 0, "seed")
        for name in ("limit", "val_limit", "window_px"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}; leave it out for the default")
        if self.val_limit is not None and self.val_split is None:
            raise ValueError(f"val_limit {self.val_limit} needs val_split, the split that it is of")
        if not 0 <= self.max_lost <= 1:
            raise ValueError(f"max_lost must be a share, between 0 and 1, got {self.max_lost:g}")
        if self.quality > 100:
            raise ValueError(f"quality must be at most 100, got {self.quality}")
        if self.window_px is not None and (self.window_px % 8 or self.window_px > MAX_IMAGE_PX):
            raise ValueError(f"window_px must be a multiple of 8 up to {MAX_IMAGE_PX}, got {self.window_px}")
        for split in (self.split, self.val_split or self.split):
            if _SPLIT.fullmatch(split) is None:
                raise ValueError(f"a split is named by letters, digits, '_' and '-', such as train2017, got {split!r}")
        if self.split == self.val_split:
            raise ValueError(f"val_split must hold other images than split, got {self.split!r} for both")

    def resolved(self, window_px: int | None = None) -> "CocoConfig":
        """The same settings with the side of the windows filled in."""
        return replace(self, window_px=self.window_px or window_px or DEFAULT_WINDOW_PX)
