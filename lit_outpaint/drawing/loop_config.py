"""The settings of the closed loop: light to import, for command lines."""

from dataclasses import dataclass, field

from lit_outpaint.drawing.edit_operations import EditRules
from lit_outpaint.drawing.judging import PictureJudge


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long the loop runs and what it edits."""

    rounds: int = 0
    """Rounds of editing at most; 0 takes the first picture as it is."""
    max_edited: float = 0.6
    """Share of a picture that is edited at once at most; edits that do not fit wait for the next round."""
    beside: bool = True
    """Draw the best of as many pictures as the loop took rounds and one, for comparison."""
    edits: EditRules = field(default_factory=EditRules)
    """When a thing is right, and how much around it is edited."""

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ValueError(f"rounds must be 0 or more, got {self.rounds}")
        if not 0 < self.max_edited <= 1:
            raise ValueError(f"max_edited must lie in (0, 1], got {self.max_edited}")


@dataclass(frozen=True, kw_only=True)
class LoopParts:
    """What the closed loop works with."""

    judge: PictureJudge | None = None
    """Who says what is wrong with a picture, by class_path; the probe of the model that was made for it when absent."""
    scorer: PictureJudge | None = None
    """Another judge whose scores stand in the record and decide nothing, by class_path; the model's other probe when
    absent."""
    repair_model: str | None = None
    """Outpainting model that edits pictures; outpaint in the model's directory when absent. none: pictures are only
    drawn again."""
