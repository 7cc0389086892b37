"""What every method of an evaluation is asked to draw, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lit_outpaint.heldout.rollout import Draws, Report, Rollout, roll_out
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk
from lit_outpaint.outpainter import OutpainterConfig


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Panoramas to be widened, the same for every method."""

    walks: Sequence[Walk]
    """What to draw."""
    real: Sequence[Pixels]
    """The real panorama of each, at least as long; only a method that draws nothing of its own looks at them."""
    geometry: Geometry
    """Direction, window and stride."""
    sampling: OutpainterConfig
    """How, with the window and overlap of the geometry."""
    batch_size: int
    """Windows drawn at once; does not change the pictures."""
    report: Report
    """Takes lines of progress."""

    def step_by_step(self, who: Draws, view_px: int) -> Rollout:
        """Let ``who`` draw window after window.

        Args:
            who: draws batches of windows.
            view_px: how far back from the growing side the vision encoder sees.
        """
        return roll_out(
            who,
            self.walks,
            self.geometry,
            view_px=view_px,
            seed=self.sampling.seed,
            batch_size=self.batch_size,
            report=self.report,
        )


DrawAll = Callable[[Drawing], Rollout]
"""Widens all panoramas."""
