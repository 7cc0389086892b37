"""Dropping conditions in training, so that guidance has an unconditional prediction to push away from."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class DropoutConfig:
    """Shares of the samples that lose a condition; the three cases exclude each other."""

    text: float = 0.1
    """Both captions become the empty caption."""
    visual: float = 0.1
    """The visual features become zeros."""
    both: float = 0.05
    """Captions and visual features are dropped together."""

    def __post_init__(self) -> None:
        shares = {"text": self.text, "visual": self.visual, "both": self.both}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"dropout.{name} must lie in [0, 1], got {share}")
        if sum(shares.values()) > 1:
            raise ValueError(f"dropout shares must sum to at most 1, got {sum(shares.values()):g}; lower one of them")


def drop_masks(
    uniform: Float[Tensor, " b"], text: float, visual: float, both: float
) -> tuple[Bool[Tensor, " b"], Bool[Tensor, " b"]]:
    """Say for each sample whether it loses its captions and whether it loses its visual features.

    Args:
        uniform: one number per sample, uniform in ``[0, 1)``.
        text: share that loses the captions alone.
        visual: share that loses the visual features alone.
        both: share that loses both.
    """
    # Cumulative borders: [0, both) both, [both, both + text) text, [both + text, both + text + visual) visual.
    drop_both = uniform < both
    drop_text = uniform < both + text
    drop_visual = drop_both | ((uniform >= both + text) & (uniform < both + text + visual))
    return drop_text, drop_visual
