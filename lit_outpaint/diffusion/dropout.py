"""Dropping conditions in training, so that guidance has an unconditional prediction to push away from."""

from dataclasses import asdict, dataclass
from itertools import accumulate

from jaxtyping import Bool, Float
from torch import Tensor

from lit_outpaint.diffusion.settings import Condition


@dataclass(frozen=True, kw_only=True)
class DropoutConfig:
    """Shares of the samples that lose a condition; the cases exclude each other."""

    text: float = 0.1
    """Both captions become the empty caption."""
    visual: float = 0.1
    """The visual features become zeros."""
    both: float = 0.05
    """Captions and visual features are dropped together."""
    local_caption: float = 0.0
    """The caption of the window alone becomes the empty one."""
    global_caption: float = 0.0
    """The caption of the whole scene alone becomes the empty one."""

    def __post_init__(self) -> None:
        shares = asdict(self)
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"dropout.{name} must lie in [0, 1], got {share}")
        if sum(shares.values()) > 1 + 1e-9:  # Ten tenths are more than 1 in floating point.
            raise ValueError(f"dropout shares must sum to at most 1, got {sum(shares.values()):g}; lower one of them")


def drop_masks(uniform: Float[Tensor, " b"], config: DropoutConfig) -> dict[Condition, Bool[Tensor, " b"]]:
    """Say for each sample which conditions it loses.

    Args:
        uniform: one number per sample, uniform in ``[0, 1)``.
        config: which share loses what.

    Returns:
        By condition, True where a sample loses it.
    """
    shares = [config.both, config.text, config.visual, config.local_caption, config.global_caption]
    # Borders lie one behind the other, so that no two cases meet: [0, both), [both, both + text), ...
    borders = uniform.new_tensor(list(accumulate(shares)))
    case = (uniform[:, None] >= borders).sum(dim=1)
    both, text, visual, local_caption, global_caption = (case == number for number in range(len(shares)))
    return {
        "local": both | text | local_caption,
        "global": both | text | global_caption,
        "visual": both | visual,
    }
