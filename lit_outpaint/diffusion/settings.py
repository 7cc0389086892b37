"""How latents are drawn, as configuration; knows no torch, so that a command line that asks for help is fast."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Condition = Literal["local", "global", "visual"]
"""What a window is drawn from beside its known pixels: its caption, the caption of the whole scene, a picture."""
CONDITIONS: Final[tuple[Condition, ...]] = get_args(Condition)

Uncond = Literal["text", "text_and_visual"]
"""What the unconditional branch of guidance drops: the captions, or the captions and the picture."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How latents are drawn, wherever that is."""

    num_inference_steps: int = 25
    """Denoising steps per window."""
    guidance_scale: float = 3.0
    """1 is no guidance, larger obeys the captions more."""
    guidance_rescale: float = 0.0
    """Share in [0, 1] by which guidance's over-exposure is taken back."""
    uncond: Uncond = "text"
    """What the unconditional branch of guidance drops."""
    left_out: str | None = None
    """Conditions that are left out in drawing, to see what each is worth, with commas between them: local or global for
    a caption, which becomes the empty one, visual for the picture."""
    scheduler: str | None = None
    """A diffusers scheduler class by name, such as DPMSolverMultistepScheduler; the model's own when absent."""

    def __post_init__(self) -> None:
        if self.num_inference_steps < 1:
            raise ValueError(f"num_inference_steps must be at least 1, got {self.num_inference_steps}")
        if self.guidance_scale < 1:
            raise ValueError(f"guidance_scale must be at least 1 (no guidance), got {self.guidance_scale}")
        if not 0 <= self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale must lie in [0, 1], got {self.guidance_rescale}")
        if not set(self._names_left_out) <= set(CONDITIONS):
            raise ValueError(f"left_out must be of {', '.join(CONDITIONS)}, got {self.left_out!r}")
        if self.scheduler is not None:
            # diffusers takes seconds to import, which is nothing to ask of a configuration.
            from lit_outpaint.diffusion.schedule import scheduler_class

            scheduler_class(self.scheduler)

    @property
    def conditions_left_out(self) -> tuple[Condition, ...]:
        """`left_out`, one by one."""
        return tuple(condition for condition in CONDITIONS if condition in self._names_left_out)

    @property
    def _names_left_out(self) -> list[str]:
        return [] if self.left_out is None else [name.strip() for name in self.left_out.split(",")]

    @property
    def guided(self) -> bool:
        """Whether there is an unconditional branch at all."""
        return self.guidance_scale > 1
