"""Settings of ``python -m eval layouts``."""

from dataclasses import dataclass, field
from pathlib import Path

from eval.readings import JudgeConfig


@dataclass(frozen=True, kw_only=True)
class LayoutsConfig:
    """Which canvases are counted."""

    runs: Path
    """Directory that holds finished runs of `lit_outpaint outpaint`, as --image DIR leaves them, or one run itself."""
    out: Path
    """Directory for metrics.json, metrics.md and report.html."""
    models: Path = Path("models/scapes")
    """Model family with the probe that judges scapes pictures."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Thresholds of the readings."""
    shown: int = 16
    """Canvases that the report shows."""

    def __post_init__(self) -> None:
        if self.shown < 0:
            raise ValueError(f"--shown must be at least 0, got {self.shown}")
