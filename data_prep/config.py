"""Settings of every stage; each becomes command-line flags and a part of the card."""

import os
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lit_outpaint.data.schema import view_name

DIRECTIONS = ("left", "right", "up", "down")


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """How many windows and panoramas to make."""

    windows: int = 4000
    """Training windows."""
    val_windows: int = 256
    """Held-out windows with features, for the validation loss."""
    panoramas: int = 64
    """Held-out panoramas of the evaluation set."""
    eval_windows: int = 256
    """Held-out single windows of the evaluation set."""
    eval_steps: int = 8
    """Expansion steps that a panorama has ground truth for."""
    seed: int = 0
    """Decides which windows; the same seed gives the same bytes."""
    samples_per_shard: int = 500
    """Windows in one tar; make at least as many shards as loader processes."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "windows", "samples_per_shard", "eval_steps")
        _at_least(self, 0, "val_windows", "panoramas", "eval_windows", "seed")

    def count(self, split: str) -> int:
        """Windows of a split."""
        return self.windows if split == "train" else self.val_windows


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """Who imagines the surroundings."""

    captioner: str = "lit_outpaint.captions.rules.RuleCaptioner"
    """Class path of a Captioner; one that takes ``corpus`` gets the training captions."""
    imaginary: int = 3
    """Imagined captions per window."""

    def __post_init__(self) -> None:
        _at_least(self, 0, "imaginary")


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """Which features to compute."""

    models: str = "models/scapes"
    """Directory of the frozen encoders, in diffusers layout."""
    ratios: tuple[float, ...] = (0.5,)
    """Shares of the window that training may generate; a view is stored for each, per direction."""
    directions: tuple[str, ...] = DIRECTIONS
    """Sides that training may grow."""
    bf16: bool = False
    """Encode under bfloat16 autocast: faster on recent hardware, about three digits of precision."""

    def __post_init__(self) -> None:
        if not self.ratios or not all(0 < ratio < 1 for ratio in self.ratios):
            raise ValueError(f"ratios must lie between 0 and 1 and name at least one, got {list(self.ratios)}")
        if not self.directions or not set(self.directions) <= set(DIRECTIONS):
            raise ValueError(f"directions must be of {', '.join(DIRECTIONS)}, got {list(self.directions)}")

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the stored views, without repeats."""
        return tuple(dict.fromkeys(view_name(side, ratio) for ratio in self.ratios for side in self.directions))


@dataclass(frozen=True, kw_only=True)
class MachineConfig:
    """How the work is done; nothing of this changes what is in the set, up to rounding."""

    workers: int = 0
    """Rendering processes; 0 takes one per core."""
    batch_size: int = 64
    """Windows encoded at once."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the encoders run; auto takes a GPU when there is one."""

    def __post_init__(self) -> None:
        _at_least(self, 0, "workers")
        _at_least(self, 1, "batch_size")

    @property
    def processes(self) -> int:
        """Rendering processes, resolved."""
        return self.workers or len(os.sched_getaffinity(0))


def settings_of(*configs: Any) -> dict[str, Any]:
    """What the content of a set depends on, as plain JSON values for the card.

    The place of the models is left out: what counts is which models they are, and the card holds their checksums.
    """
    merged: dict[str, Any] = {}
    for config in configs:
        merged |= {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(config).items()}
    merged.pop("models", None)
    return merged


def _at_least(config: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
