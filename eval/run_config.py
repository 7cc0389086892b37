"""What ``python -m eval run`` is asked to do."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from eval.figures import DEFAULT_STEPS
from eval.readings import JudgeConfig
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.protocols import ImageMetric

MethodName = Literal["outpaint", "joint", "inpaint_loop", "autoencoder"]
LoopPrompt = Literal["local", "global", "both"]


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Which checkpoint is scored on what."""

    checkpoint: Path
    """A directory with an OutpaintPipeline (whole, or an overlay) or a training checkpoint (.ckpt)."""
    data: Path
    """Shard set written by data_prep; its evaluation set is used."""
    out: Path
    """Directory for metrics.json, metrics.md, report.html, captions.jsonl, pictures/ and real/; those of an earlier run
    in it are removed."""
    models: Path = Path("models/scapes")
    """Model family that holds the judges: probe/ and eval_clip/."""
    method: MethodName = "outpaint"
    """Who draws: the checkpoint (outpaint), the checkpoint with all steps denoised together (joint), diffusers'
    inpainting pipeline with the text-to-image model that the checkpoint stands on (inpaint_loop), or nobody: the real
    continuation as the checkpoint's autoencoder gives it back, the ceiling of the others (autoencoder)."""
    loop_prompt: LoopPrompt = "local"
    """What inpaint_loop is told: one caption, or both joined."""
    panoramas: int = 64
    """How many panoramas, the first by key."""
    steps: int = 8
    """How many steps each grows."""
    direction: Direction = "right"
    """Which panoramas of the set."""
    figures: Literal["all", "few"] = "all"
    """all: every figure that can be computed. few: faithfulness, seam, CLIP-SIM and IS, without curves."""
    metrics: list[ImageMetric] | None = None
    """Metrics by class_path in the place of those."""
    curve_steps: tuple[int, ...] = DEFAULT_STEPS
    """Steps of curves; those beyond the end are left out, and the last one is always there."""
    extractor: str | None = None
    """Features of IS, FID, KID, precision and recall: inception, scapes, or NAME:PATH; scapes of --models when absent,
    and Inception's IS and FID beside it where its weights are there."""
    clip: str | None = None
    """Evaluation CLIP: MODEL/PRETRAINED of open_clip, or a directory; eval_clip/ of --models when absent."""
    lpips: Literal["vgg", "alex", "squeeze", "scapes"] = "scapes"
    """Backbone of Intra-LPIPS."""
    splits: int = 1
    """Parts of the Inception Score."""
    kid_subsets: int = 100
    """Pairs of subsets of KID."""
    kid_subset_size: int | None = None
    """Windows in each; 100 when absent, or all where there are fewer."""
    shown: int = 12
    """How many panoramas the report shows, evenly spread."""
    loss_csv: Path | None = None
    """metrics.csv of the training run, for the loss curve."""
    batch_size: int = 16
    """Windows drawn at once; does not change the pictures."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where windows are drawn; auto takes a GPU if there is one. Scores are computed on the CPU."""
    dtype: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    """What drawing computes in; a figure in another type than float32 is another figure."""
    sampling: OutpainterConfig = field(default_factory=OutpainterConfig)
    """How windows are drawn; window and overlap are those of the panoramas."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Thresholds of the readings."""

    def __post_init__(self) -> None:
        for name in ("panoramas", "steps", "batch_size", "splits", "kid_subsets"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.shown < 0:
            raise ValueError(f"--shown must be at least 0, got {self.shown}")
        if self.splits > self.panoramas * self.steps:
            raise ValueError(
                f"--splits must be at most {self.panoramas * self.steps}, the number of windows; got {self.splits}"
            )
        if self.sampling.engine == "joint":
            raise ValueError("--sampling.engine joint is chosen by --method joint here; leave it out")
        if self.sampling.visual_source == "image_from_global_caption":
            raise ValueError(
                "--sampling.visual_source must be canvas_so_far or visible_part_of_window in an evaluation"
            )
        foreign = ("guidance_rescale", "seam_feather_cells", "compile")
        if self.method == "inpaint_loop" and any(getattr(self.sampling, name) for name in foreign):
            raise ValueError(
                f"--method inpaint_loop takes no sampling.{', no sampling.'.join(foreign)}; leave them out"
            )
        if self.method == "joint":
            replace(self.sampling, engine="joint")  # Refuses what that engine does not take.

    @property
    def reached(self) -> list[int]:
        """Steps of curves that are drawn."""
        return sorted({step for step in self.curve_steps if step < self.steps} | {self.steps})
