"""Settings of every stage; each becomes command-line flags and a part of the card."""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from data_prep.engines import Engine, EngineName, make_engine
from lit_outpaint.canvas.geometry import DIRECTIONS, GROWTHS
from lit_outpaint.chat.ledger import Prices
from lit_outpaint.data.schema import view_name
from lit_outpaint.models.language import LanguageConfig
from lit_outpaint.protocols import Captioner
from lit_outpaint.system.threads import usable_processors

_PLACES: Final = ("models", "models_config", "vision", "root", "sums", "max_lost")
"""Settings that say where something lies on this machine, which is recorded by its checksums, and what may be lacking
there, which is counted."""


@dataclass(frozen=True, kw_only=True)
class ScapesConfig:
    """How many windows and panoramas of the scapes world to make."""

    windows: int = 4000
    """Training windows."""
    val_windows: int = 256
    """Held-out windows with features, for the validation loss."""
    panoramas: int = 64
    """Held-out panoramas of the evaluation set, towards each of their directions."""
    panorama_directions: tuple[str, ...] = ("right",)
    """Sides that panoramas grow to, from a window on the surface."""
    eval_windows: int = 256
    """Held-out single windows of the evaluation set."""
    eval_steps: int = 8
    """Expansion steps that a panorama has ground truth for."""
    surface_share: float = 0.7
    """Share of training windows that sit exactly on the surface; the rest lie above or below it, and teach to grow up
    and down."""
    dense_share: float = 0.0
    """Share of windows whose local caption is a paragraph of 40 to 140 words instead of an annotated one."""
    around: bool = False
    """Store visual features of the picture around each window, too, for ``data.visual_view: picture``: of two windows'
    width and height, the window in its middle."""
    seed: int = 0
    """Decides which windows; the same seed gives the same bytes."""
    samples_per_shard: int = 500
    """Windows in one tar; make at least as many shards as loader processes."""

    def __post_init__(self) -> None:
        at_least(self, 1, "windows", "samples_per_shard", "eval_steps")
        at_least(self, 0, "val_windows", "panoramas", "eval_windows", "seed")
        if not self.panorama_directions or not set(self.panorama_directions) <= set(DIRECTIONS):
            raise ValueError(
                f"panorama_directions must be of {', '.join(DIRECTIONS)}, got {list(self.panorama_directions)}"
            )
        for name in ("surface_share", "dense_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")

    def count(self, split: str) -> int:
        """Windows of a split."""
        return self.windows if split == "train" else self.val_windows


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """Who imagines the surroundings."""

    captioner: Captioner | None = None
    """Who writes, by class_path; when absent, rules that pick from the training captions."""
    imaginary: int = 3
    """Imagined captions per window."""

    def __post_init__(self) -> None:
        at_least(self, 0, "imaginary")


@dataclass(frozen=True, kw_only=True)
class CallConfig(Prices):
    """How the captioner is called; nothing of this changes what it is asked."""

    cache: str | None = None
    """SQLite file of a language model's replies: what it holds is not asked again, what is new is put in."""


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """Which features to compute."""

    models: str = "models/scapes"
    """Directory of the frozen encoders in diffusers layout, its name on the hub, or a whole Stable Diffusion in one
    .safetensors file, which is unpacked into the cache once."""
    models_config: str | None = None
    """Directory or hub name of a family that gives a single file its sizes and tokeniser; Stable Diffusion 1.5 when
    absent."""
    vision: str | None = None
    """Directory or hub name of a CLIP whose vision encoder is used, for families without one such as SD 1.5."""
    ratios: tuple[float, ...] = (0.5,)
    """Shares of the window that training may generate; a view is stored for each, per direction."""
    directions: tuple[str, ...] = DIRECTIONS
    """Sides that training may grow, and corners such as ``down+left`` (between two known sides, as in most windows of a
    rectangle) beside the view of their first side."""
    masked_latents: bool = True
    """Store the latents of the masked window for every view; without them, training encodes them in every step."""
    language: LanguageConfig | None = None
    """A language model whose features of the captions are stored, too, by class_path, such as
    ``lit_outpaint.models.language.T5Language``; when absent, none are."""
    language_global: bool = True
    """Store them of the global caption, too; text-to-image reads the local one alone."""
    bf16: bool = False
    """Encode under bfloat16 autocast: faster on recent hardware, about three digits of precision."""

    def __post_init__(self) -> None:
        if not self.ratios or not all(0 < ratio < 1 for ratio in self.ratios):
            raise ValueError(f"ratios must lie between 0 and 1 and name at least one, got {list(self.ratios)}")
        if finest := next((ratio for ratio in self.ratios if float(f"{ratio:g}") != ratio), None):
            raise ValueError(f"ratios must have at most six digits, as views are named by them, got {finest}")
        if min(self.ratios) < 1e-4:
            raise ValueError(f"ratios must be at least 0.0001, as views are named by them, got {min(self.ratios)}")
        if not self.directions or not set(self.directions) <= set(GROWTHS):
            raise ValueError(f"directions must be of {', '.join(GROWTHS)}, got {list(self.directions)}")

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the stored views, without repeats."""
        return tuple(dict.fromkeys(view_name(side, ratio) for ratio in self.ratios for side in self.directions))


@dataclass(frozen=True, kw_only=True)
class MachineConfig:
    """How the work is done; nothing of this changes what is in the set, up to rounding."""

    engine: EngineName = "local"
    """Who works through the shards: processes of this machine, or tasks of a Ray cluster (extra ``ray``)."""
    workers: int = 0
    """Shards that are worked on at once on this machine; 0 takes one per core. Encoders share one process."""
    batch_size: int | None = None
    """Windows encoded at once; when absent 64 of up to 256 px and 16 of 512 px, which fit into 16 GiB."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the encoders run; auto takes a GPU when there is one."""

    def __post_init__(self) -> None:
        at_least(self, 0, "workers")
        if self.batch_size is not None:
            at_least(self, 1, "batch_size")

    def windows_at_once(self, window_px: int) -> int:
        """How many windows of a side are encoded at once."""
        return self.batch_size or min(64, max(1, 64 * 256**2 // window_px**2))

    @property
    def processes(self) -> int:
        """Processes of this machine, resolved."""
        return self.workers or usable_processors()

    def make_engine(self) -> Engine:
        """Who works through shards that need no encoder."""
        return make_engine(self.engine, self.processes)


def settings_of(*configs: Any) -> dict[str, Any]:
    """What the content of a set depends on, as plain JSON values for the card.

    Places on this machine are left out: what counts is what lies there, and the card holds the checksums of that.
    """
    merged: dict[str, Any] = {}
    for config in configs:
        merged |= {field.name: getattr(config, field.name) for field in fields(config)}
    if "captioner" in merged:
        merged["captioner"] = merged["captioner"].name if merged["captioner"] else "rules"
    if merged.get("language") is not None:
        merged["language"] = " ".join(f"{name}={value}" for name, value in merged["language"].card().items())
    else:
        # Sets that were made before there were language models stay the same sets.
        merged.pop("language_global", None)
    for name in ("dense_share", "around"):
        if not merged.get(name):
            merged.pop(name, None)
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in merged.items()
        if key not in _PLACES and value is not None
    }


def at_least(config: Any, least: int, *names: str) -> None:
    """Refuse a setting below ``least``.

    Raises:
        ValueError: one of the fields ``names`` is.
    """
    for name in names:
        value = getattr(config, name)
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
