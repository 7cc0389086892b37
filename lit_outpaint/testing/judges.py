"""A judge with a script, for tests of the closed loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.drawing.edit_operations import Seen, Wanted
from lit_outpaint.drawing.judging import Look, Pictures, Wish
from lit_outpaint.planning.placement import Placement
from lit_outpaint.planning.regions import RegionPlan


@dataclass(frozen=True, kw_only=True)
class BrightnessJudge:
    """Sees every thing of a plan whose box is brighter than a level, whatever it shows; a rule that noise decides."""

    level: float = 128.0
    """Mean of the pixels of a box, in 0..255, from which on its thing is seen."""
    name: str = "brightness"
    """Who judges."""

    def wish(self, plan: RegionPlan, placed: Mapping[str, Placement]) -> Wish:
        """A thing for each region, each of a kind of its own."""
        return Wish(
            tuple(Wanted(id=one.id, kind=_kind(one.box.as_tuple()), box=one.box.as_tuple()) for one in plan.regions)
        )

    def look(self, pictures: Pictures) -> list[Look]:
        """The quarters of each picture that are bright."""
        return [Look(tuple(self._bright(picture))) for picture in pictures]

    def _bright(self, picture: UInt8[ndarray, "h w 3"]) -> list[Seen]:
        height, width = picture.shape[:2]
        boxes = [(x / 2, y / 2, x / 2 + 0.5, y / 2 + 0.5) for y in (0, 1) for x in (0, 1)]
        return [
            Seen(kind=_kind(box), box=box, share=0.25)
            for box in boxes
            if picture[int(box[1] * height) : int(box[3] * height), int(box[0] * width) : int(box[2] * width)].mean()
            >= self.level
        ]


def _kind(box: tuple[float, float, float, float]) -> str:
    return f"at {box[0]:g},{box[1]:g}"
