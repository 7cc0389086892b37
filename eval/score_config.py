"""What ``python -m eval score`` is asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.protocols import ImageMetric


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Which pictures are scored with what."""

    images: Path
    """Folder of pictures of one size."""
    out: Path
    """Directory for metrics.json and metrics.md."""
    captions: Path | None = None
    """Captions: .json (name to caption, or to {caption, local_captions}), .jsonl ({image, caption, local_captions} a
    line), .csv (image, caption), or .tsv as outpaint takes it (a line NAME<tab>caption each). local_captions: of the
    start window and of each step."""
    reference: Path | None = None
    """Folder of real pictures; where it holds the same names, each is set beside its namesake."""
    window_px: int | None = None
    """Score square windows of this side; whole pictures when absent. Pictures that are this high and longer (wide, for
    up and down) are taken as panoramas, whose first window is the start."""
    stride_px: int | None = None
    """Distance of windows, the new pixels of a step; the window's side when absent."""
    direction: Direction = "right"
    """Side to which panoramas grew."""
    steps: tuple[int, ...] = (0, 1, 5, 10, 20)
    """Steps of curves; those beyond the end are left out."""
    extractor: str = "inception"
    """Features of IS, FID, KID, precision and recall: inception, scapes, or NAME:PATH with the path of its weights."""
    clip: str = "ViT-B-32/laion2b_s34b_b79k"
    """Evaluation CLIP: MODEL/PRETRAINED of open_clip, or a directory with open_clip_config.json or with a CLIPModel of
    transformers."""
    lpips: Literal["vgg", "alex", "squeeze", "scapes"] = "vgg"
    """Backbone of Intra-LPIPS."""
    splits: int | None = None
    """Parts of the Inception Score; 10 when absent, or one a picture where there are fewer."""
    kid_subsets: int = 100
    """Pairs of subsets of KID."""
    kid_subset_size: int = 1000
    """Pictures in each."""
    max_samples: int = 10_000
    """KID, precision and recall look at at most this many pictures of each set."""
    metrics: list[ImageMetric] | None = None
    """Metrics by class_path in the place of those that fit what is given."""
    cache: Path | None = None
    """Where statistics of real pictures are kept; ~/.cache/lit_outpaint/reference when absent."""
    batch_size: int = 32
    """Pictures read at once."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"--batch_size must be at least 1, got {self.batch_size}")
        if self.window_px is None and self.stride_px is not None:
            raise ValueError("--stride_px needs --window_px")
        if self.window_px is not None and not 1 <= self.stride < self.window_px + 1:
            raise ValueError(f"--stride_px must lie in [1, {self.window_px}], got {self.stride_px}")

    @property
    def stride(self) -> int:
        """Distance of windows."""
        return (self.window_px or 0) if self.stride_px is None else self.stride_px
