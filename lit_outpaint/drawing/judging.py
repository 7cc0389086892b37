"""What the closed loop asks of a judge, and how a picture stands against a plan.

The judge that steers is never the one that scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from lit_outpaint.drawing.edit_operations import EditRules, Finding, Seen, Wanted, compare
from lit_outpaint.planning.placement import Placement
from lit_outpaint.planning.regions import RegionPlan

Pictures = Any
"""uint8 array ``(n, h, w, 3)``; named without numpy, so that a command line that asks for help is fast."""


class Wish(NamedTuple):
    """What of a prompt a judge can check."""

    things: tuple[Wanted, ...] = ()
    scenery: frozenset[str] = frozenset()
    """Names of sky and ground that must be seen."""


class Look(NamedTuple):
    """What a judge sees in a picture."""

    things: tuple[Seen, ...] = ()
    scenery: frozenset[str] = frozenset()
    fault: str = ""
    """Why nothing could be seen, where that is so."""


@runtime_checkable
class PictureJudge(Protocol):
    """Compares pictures with plans; its ``name``, if it has one, stands in records."""

    def wish(self, plan: RegionPlan, placed: Mapping[str, Placement]) -> Wish:
        """What of a plan can be checked.

        Args:
            plan: in shares of the picture.
            placed: the axes along which each region's thing must stand in its box (`placements`), by id.
        """
        ...

    def look(self, pictures: Pictures) -> list[Look]:
        """What each picture shows."""
        ...


class Judgement(NamedTuple):
    """A picture against what was wished for."""

    findings: tuple[Finding, ...]
    """Of each thing that is wanted, and of each that is too many."""
    missing_scenery: tuple[str, ...]
    """Scenery that is wished for and not seen."""
    num_scenery: int
    """How many names of scenery were wished for."""
    fault: str = ""
    """Why the judge said nothing, where that is so; the picture then counts as wrong."""

    @property
    def agrees(self) -> bool:
        """Whether everything is right."""
        return self.score == 1 and not self.fault

    @property
    def score(self) -> float:
        """Share of the findings, scenery included, that are right; 1 when there is nothing to check."""
        if self.fault:
            return 0.0
        scenery = self.num_scenery
        total = len(self.findings) + scenery
        right = sum(finding.verdict == "right" for finding in self.findings) + scenery - len(self.missing_scenery)
        return right / total if total else 1.0


def judge(wish: Wish, look: Look, rules: EditRules = EditRules()) -> Judgement:
    """Compare what was wished for with what is seen."""
    missing = tuple(sorted(wish.scenery - look.scenery))
    return Judgement(tuple(compare(wish.things, look.things, rules)), missing, len(wish.scenery), look.fault)
