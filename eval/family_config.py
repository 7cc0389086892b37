"""What ``python -m eval family`` is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path

from eval.readings import JudgeConfig


@dataclass(frozen=True, kw_only=True)
class FamilyConfig:
    """Which family is scored on what."""

    data: Path
    """Shard set written by data_prep; the held-out windows of its evaluation set are used."""
    out: Path
    """Directory for metrics.json, metrics.md and report.html."""
    models: Path = Path("models/scapes")
    """The model family."""
    windows: int = 1024
    """How many held-out windows at most, the first by key."""
    drawn: int = 256
    """How many of them the base model draws from their first caption."""
    num_inference_steps: int = 25
    """Denoising steps of the base model."""
    guidance_scale: float = 4.0
    """Classifier-free guidance of the base model."""
    batch_size: int = 32
    """Windows per forward pass; does not change the scores."""
    seed: int = 0
    """Of the base model's noise: each window has its own generator."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Thresholds of the readings."""

    def __post_init__(self) -> None:
        for name in ("windows", "drawn", "num_inference_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
