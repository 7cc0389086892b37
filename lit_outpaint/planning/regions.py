"""What a picture or a canvas is to show, and where: a base prompt and boxes with prompts of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from lit_outpaint.planning.boxes import EDGE_TOLERANCE, Bounds, RegionBox
from lit_outpaint.planning.grid import Grid, parse_grid

Unit = Literal["share", "px"]
"""What boxes are given in: shares of one picture, in [0, 1], or pixels of the canvas."""
Level = Literal["sky", "surface", "ground"]
"""Where on a canvas a region lies: above the horizon's rows, in them, or below them."""

_ID: Final = re.compile(r"\S{1,64}")


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box and what it shows; a thing is owned by one region."""

    id: str
    """Name without white space, one of its kind in a plan; for example ``red-barn-2``."""
    prompt: str
    """What the box shows, as the text encoder reads it."""
    box: RegionBox
    """Where; in the unit of the plan."""
    base_ratio: float | None = None
    """Weight of the base prompt inside the box, in [0, 1]; None takes that of the run."""
    negative_prompt: str = ""
    """What the box should not show; empty takes that of the run."""
    thing: str = ""
    """What stands in the box, as a noun phrase; captions of windows are made of it. Empty in an empty stretch."""
    place: str = ""
    """Sky or ground that the box belongs to, as a noun phrase; for example ``a meadow``."""
    level: Level = "surface"
    """Which part of the canvas that is."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"id must be 1 to 64 characters without white space, got {self.id!r}")
        if not has_word(self.prompt):
            raise ValueError(f"prompt of region {self.id} must hold a word, got {self.prompt!r}")
        x0, y0, x1, y1 = edges = self.box.as_tuple()
        if not all(map(math.isfinite, edges)) or not (x0 < x1 and y0 < y1):
            raise ValueError(f"box of region {self.id} must have finite edges, x0 < x1 and y0 < y1, got {edges}")
        if self.base_ratio is not None and not 0 <= self.base_ratio <= 1:
            raise ValueError(f"base_ratio of region {self.id} must lie in [0, 1], got {self.base_ratio}")


@dataclass(frozen=True, kw_only=True)
class RegionPlan:
    """A base prompt for everything, and regions that do not overlap; between them the base prompt acts alone."""

    base_prompt: str
    """The whole picture, or the whole scene of a canvas."""
    regions: tuple[Region, ...] = ()
    """In the order in which they were planned."""
    unit: Unit = "share"
    """What the boxes are given in."""
    period_px: int | None = None
    """For a canvas that is a ring: its length; the plan then comes again to both sides."""

    def __post_init__(self) -> None:
        if not has_word(self.base_prompt):
            raise ValueError(f"base_prompt must hold a word, got {self.base_prompt!r}; say what the picture shows")
        if self.period_px is not None and not (self.unit == "px" and self.period_px > 0):
            raise ValueError(f"period_px must be positive and needs boxes in px, got {self.period_px} ({self.unit})")
        seen: set[str] = set()
        for region in self.regions:
            if region.id in seen:
                raise ValueError(f"id must be another for each region, got {region.id!r} twice")
            seen.add(region.id)
            if self.unit == "share" and not _inside(region.box):
                raise ValueError(
                    f"box of region {region.id} must lie in [0, 1], got {region.box.as_tuple()}; or say unit px"
                )
        pair = first_overlap(self.regions)
        if pair is not None:
            one, other = pair
            raise ValueError(
                f"box of region {other.id} must not overlap that of {one.id}, got {other.box.as_tuple()} and "
                f"{one.box.as_tuple()}; let them meet at an edge"
            )

    @classmethod
    def from_grid(
        cls,
        base_prompt: str,
        grid: Grid | str,
        prompts: Sequence[str],
        *,
        base_ratio: float | None = None,
        negative_prompt: str = "",
    ) -> RegionPlan:
        """One region for each cell of a grid, in order.

        Raises:
            GridError: the text is no split ratio.
            ValueError: there are more or fewer prompts than cells.
        """
        grid = parse_grid(grid) if isinstance(grid, str) else grid
        if len(prompts) != len(grid):
            raise ValueError(f"regions {grid} must have a prompt for each of its {len(grid)} cells, got {len(prompts)}")
        regions = tuple(
            Region(id=name, prompt=prompt, box=box, base_ratio=base_ratio, negative_prompt=negative_prompt)
            for name, prompt, box in zip(region_ids(prompts), prompts, grid.boxes(), strict=True)
        )
        return cls(base_prompt=base_prompt, regions=regions)

    def placed(self, frame: Bounds) -> RegionPlan:
        """A plan in shares as one in canvas pixels, where ``frame`` is the picture that it was made for.

        Raises:
            ValueError: the plan is in pixels already.
        """
        if self.unit != "share":
            raise ValueError("a plan can be placed on a canvas once, this one is in px already")
        regions = tuple(replace(region, box=region.box.within(frame)) for region in self.regions)
        return replace(self, regions=regions, unit="px")

    def over(self, window: Bounds, *, min_share: float = 0.0) -> RegionPlan:
        """What a window meets, in shares of the window, cut at its edges; in the order of the plan.

        Args:
            window: a box of the canvas, px.
            min_share: leave out a region when less than this share of it lies in the window and it covers less than
                this share of the window. 0 keeps all that meet it.

        Raises:
            ValueError: the plan is in shares, which belong to no place on a canvas; see `placed`.
        """
        if self.unit != "px":
            raise ValueError("a plan in shares must be placed on a canvas first: plan.placed(box).over(window)")
        frame = RegionBox.of(window)
        met: dict[str, Region] = {}
        for region in self.regions:
            for box in self._copies(region.box, frame):
                common = box.intersection(frame)
                if common is None or max(common.area / box.area, common.area / frame.area) < min_share:
                    continue
                share = _snapped(common.relative_to(frame))
                if region.id not in met or share.area > met[region.id].box.area:
                    met[region.id] = replace(region, box=share)
        return RegionPlan(base_prompt=self.base_prompt, regions=tuple(met.values()))

    def _copies(self, box: RegionBox, frame: RegionBox) -> Iterable[RegionBox]:
        """The box, and in a ring each of its repetitions that may meet the window."""
        if self.period_px is None:
            return [box]
        first = math.ceil((frame.x0 - box.x1) / self.period_px)
        last = math.floor((frame.x1 - box.x0) / self.period_px)
        return [box.shift(turn * self.period_px) for turn in range(first, last + 1)]


def first_overlap(regions: Iterable[Region]) -> tuple[Region, Region] | None:
    """The first two regions whose boxes have an area in common, None when they have none."""
    open_now: list[Region] = []
    for region in sorted(regions, key=lambda region: region.box.x0):
        open_now = [other for other in open_now if other.box.x1 > region.box.x0 + EDGE_TOLERANCE]
        for other in open_now:
            if other.box.intersection(region.box) is not None:
                return other, region
        open_now.append(region)
    return None


def region_ids(prompts: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """A readable id for each prompt, all different: its first words, numbered where they come again."""
    used = set(taken)
    ids = []
    for prompt in prompts:
        words = [word for word in re.findall(r"\w+", prompt.lower()) if word not in ("a", "an", "the", "of", "one")]
        stem = "-".join(words[:3])[:48] or "region"
        name = next(name for name in _numbered(stem) if name not in used)
        used.add(name)
        ids.append(name)
    return ids


def has_word(text: str) -> bool:
    """Whether a text holds a letter or a digit."""
    return any(map(str.isalnum, text))


def _numbered(stem: str) -> Iterable[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _inside(box: RegionBox) -> bool:
    return min(box.as_tuple()) >= -EDGE_TOLERANCE and max(box.as_tuple()) <= 1 + EDGE_TOLERANCE


def _snapped(box: RegionBox) -> RegionBox:
    """Rounding of the division taken back at the edges of the window."""
    return RegionBox(*(min(max(edge, 0.0), 1.0) for edge in box.as_tuple()))
