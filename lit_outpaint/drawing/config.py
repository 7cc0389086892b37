"""How windows are drawn and put on the canvas: every setting of the drawing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lit_outpaint.canvas.seams import SeamTreatment
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.system.settings import setting

VisualSource = Literal["canvas_so_far", "visible_part_of_window", "image_from_global_caption"]


@dataclass(frozen=True, kw_only=True)
class OutpainterConfig(Sampling):
    """How each step is drawn."""

    seed: int = 0
    """Same seed, same picture."""
    window_px: int | None = None
    """Side of the square window; the side the model was trained with when absent."""
    overlap_px: int | None = None
    """Known pixels of each window along the growing axis; half a window when absent."""
    engine: Literal["steps", "joint"] = "steps"
    """steps: window after window, each from what is known by then. joint: all windows of the plan are denoised together
    and averaged where they overlap (MultiDiffusion, arXiv:2302.08113); memory grows with the plan."""
    joint_halo_cells: int = 4
    """For engine joint: each window is decoded with this many more latent cells around it."""
    joint_memory_mib: int = 4096
    """For engine joint: refuse plans whose windows would take more."""
    visual_source: VisualSource = "canvas_so_far"
    """What the vision encoder looks at: the canvas behind the growing side, the known part of the window alone, or one
    picture of the whole scene that the family's text-to-image model draws from the global caption."""
    visual_span_px: int | None = None
    """How far back canvas_so_far looks; one window when absent, so that memory stays constant."""
    visual_refresh_every: int = 1
    """After this many steps of a chain the vision encoder looks at the canvas again; until then it keeps its view."""
    captions_ahead: bool = False
    """Write all captions before the first window is drawn, from text alone; else a captioner that can see is shown the
    newest pixels, and each is asked for as early as that allows."""
    batch_size: int = setting(8, on_resume="replaces")
    """At most this many windows are drawn together, where the plan has as many that do not need each other; does not
    change the picture."""
    compile: bool = False
    """Compile the U-Net: the first window then takes a minute or more, the others less time. For long chains of steps;
    on a CPU windows are drawn one by one, so a plan with many at once gains nothing. Needs a C++ compiler on CPUs."""
    global_with_layout: Literal["places", "whole"] = "places"
    """Of a global caption that says the weather, what windows of a layout are told: time, weather and places (places),
    since each is told its own things; or all of it (whole), which draws its things wherever there is room."""
    candidates: int = 1
    """Draw this many versions of each window and keep the best; the others stay in kept/, see --candidate."""
    seam: SeamTreatment = "poisson"
    """How the new side is made to meet the known pixels: pasted as it is (none), its colours matched (colour), or the
    error at the seam spread over it (poisson)."""
    seam_reach_px: int = 8
    """For poisson: over how many new pixels a thing fades out that is cut off at the seam."""
    seam_feather_cells: int = 0
    """Hold the latents of the known side in place while denoising, with a feather of this many cells; 0 is off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if self.window_px is not None and self.window_px < 1:
            raise ValueError(f"window_px must be positive, got {self.window_px}")
        if self.seam_reach_px < 0:
            raise ValueError(f"seam_reach_px must not be negative, got {self.seam_reach_px}")
        if self.seam_feather_cells < 0:
            raise ValueError(f"seam_feather_cells must not be negative, got {self.seam_feather_cells}")
        for name in ("visual_refresh_every", "batch_size", "candidates", "joint_memory_mib"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.visual_span_px is not None and self.visual_span_px < 1:
            raise ValueError(f"visual_span_px must be positive, got {self.visual_span_px}")
        if self.joint_halo_cells < 0:
            raise ValueError(f"joint_halo_cells must not be negative, got {self.joint_halo_cells}")
        if self.engine == "joint" and (self.candidates > 1 or self.seam_feather_cells or self.compile):
            raise ValueError(
                "engine joint takes no candidates, no seam_feather_cells and no compile; leave them out, or use steps"
            )
