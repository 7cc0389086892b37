"""Settings of ``python -m eval compbench``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eval.compbench.vqa import VqaJudge
from eval.readings import JudgeConfig
from lit_outpaint.data.prompts import Category
from lit_outpaint.diffusion.settings import Sampling


@dataclass(frozen=True, kw_only=True)
class DrawingConfig:
    """How pictures are drawn."""

    sampling: Sampling = field(default_factory=Sampling)
    """Steps and guidance."""
    seed: int = 0
    """Of the noise: each prompt has its own generator, seeded by this and its id."""
    batch_size: int = 28
    """Pictures drawn together; does not change them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to draw."""


@dataclass(frozen=True, kw_only=True)
class AtomRules:
    """What makes a statement hold, beside the thresholds of the readings."""

    min_offset: float = 1 / 16
    """Share of the side by which centres must differ for a relation."""
    min_biome_share: float = 0.15
    """Share of the ground that a biome that is named must cover; two may be named."""

    def __post_init__(self) -> None:
        for name in ("min_offset", "min_biome_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"--rules.{name} must lie in (0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class CompbenchConfig:
    """Which pictures are scored against which prompts."""

    prompts: Path
    """Prompt file of data_prep compbench, or of another bench with --format."""
    out: Path
    """Directory for metrics.json, metrics.md, report.html and answers.jsonl; with --model also pictures/."""
    images: Path | None = None
    """Pictures of any system, ID.png each, or ID-0.png, ID-1.png, ... of other seeds; of steps the whole window after
    it; or give --model."""
    model: Path | None = None
    """Text-to-image model, or a training checkpoint (.ckpt), that draws the pictures first, as `lit_outpaint generate`
    does; what is there stays. For prompts of `data_prep compbench --per_step true` an outpainting model, which draws
    one step from each known window."""
    drawing: DrawingConfig = field(default_factory=DrawingConfig)
    """How it draws."""
    true_pictures: Path | None = None
    """True pictures of the prompts; those that data_prep compbench wrote beside the prompt file when absent."""
    known: Path | None = None
    """Windows before the steps, for --model; those that data_prep compbench wrote beside the prompts when absent."""
    per_category: int | None = None
    """Score the first prompts, this many, of each category; all when absent."""
    categories: tuple[Category, ...] | None = None
    """Score these categories alone; all when absent."""
    format: Literal["scapes", "t2icompbench", "geneval", "dpg"] = "scapes"
    """Whose prompt file it is; prompts of others are scored by --clip and --vqa."""
    models: Path = Path("models/scapes")
    """Model family with the probe that judges scapes pictures."""
    clip: str | None = None
    """Evaluation CLIP for CLIP-SIM: MODEL/PRETRAINED of open_clip, or a directory with open_clip_config.json."""
    vqa: VqaJudge | None = None
    """Answers the questions of other benches, by class_path."""
    num_noun_phrases: int = 8
    """Noun phrases of a T2I-CompBench prompt that are asked for at most; part of what its score means."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Thresholds of the readings."""
    rules: AtomRules = field(default_factory=AtomRules)
    """What makes a statement hold."""
    shown: int = 24
    """Prompts that the report shows with their pictures."""

    def __post_init__(self) -> None:
        if (self.images is None) == (self.model is None):
            raise ValueError("give either --images, pictures that are there, or --model, a model that draws them")
        for name in ("num_noun_phrases", "per_category"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}")
        if self.format != "scapes" and self.clip is None and self.vqa is None:
            raise ValueError(f"--format {self.format} needs --clip or --vqa: the probe reads scapes pictures alone")
        if self.format != "scapes" and self.categories is not None:
            raise ValueError("--categories are those of scapes prompts; leave it out with --format")
        if self.format == "scapes" and self.vqa is not None:
            raise ValueError("--vqa answers questions of other benches; scapes prompts have none, leave it out")
