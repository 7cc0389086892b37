"""What is regressed, and what of it counts: the configuration of the training objective."""

from dataclasses import dataclass

from lit_outpaint.diffusion.loss import LossRegion
from lit_outpaint.diffusion.targets import PredictionType


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is regressed and how timesteps and regions are weighted."""

    prediction_type: PredictionType | None = None
    """What the U-Net predicts; None keeps what the base model was trained for."""
    loss_region: LossRegion = "full"
    """full: the error counts everywhere; masked: where the mask generates; weighted: known cells count less."""
    known_weight: float = 0.1
    """Weight of known cells (weighted only)."""
    snr_gamma: float | None = None
    """Min-SNR clip (arXiv:2303.09556, 5.0 is usual); None weights all timesteps alike."""
    noise_offset: float = 0.0
    """How far the noise of each channel of a training sample is moved as a whole, by a Gaussian number times this (0.1
    is usual): lets a model learn pictures that are dark or bright all over. Held-out losses know nothing of it."""

    def __post_init__(self) -> None:
        if self.snr_gamma is not None and self.snr_gamma <= 0:
            raise ValueError(f"snr_gamma must be positive or None, got {self.snr_gamma}")
        if self.noise_offset < 0:
            raise ValueError(f"noise_offset must be at least 0, got {self.noise_offset}")
        if self.known_weight < 0:
            raise ValueError(f"known_weight must be at least 0, got {self.known_weight}")
