"""Captions of windows out of a layout: what stands in a window is said, wherever and whenever it is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from lit_outpaint.planning.boxes import Bounds, RegionBox
from lit_outpaint.planning.phrases import COUNTS, joined, many_of, split_count
from lit_outpaint.planning.places import scene_lead
from lit_outpaint.planning.regions import Level, Region, RegionPlan

VISIBLE_SHARE: Final = 0.55
"""A thing is named when at least this share of its box lies in the window."""
NAMED_SHARE: Final = 0.2
"""A place is named when it covers at least this share of the surface in the window."""
SURFACE_SHARE: Final = 0.25
"""A window with less surface than this is one of sky or of ground."""
MAX_POSITIONED: Final = 3
"""More things than this are listed without saying where they stand."""

_LEFT, _RIGHT = 0.36, 0.64
_NUMBER_WORDS: Final = {count: word for word, count in COUNTS.items() if " " not in word and word != "both"}


@runtime_checkable
class Layout(Protocol):
    """What says what a window meets: a `RegionPlan` in canvas pixels, or a ``ChainLayout``."""

    def over(self, window: Bounds, *, min_share: float = 0.0) -> RegionPlan:
        """What meets a window, in shares of it."""
        ...


def local_caption(layout: Layout, window: Bounds) -> str:
    """One sentence of what a window shows, from the layout alone.

    Places come first, from left to right, then the things with their positions: "a meadow on the left and a lake on the
    right with a red barn on the left". A window that meets no region gets the caption of the whole canvas.
    """
    plan = layout.over(window)
    if not plan.regions:
        return plan.base_prompt
    whole = [region for region in layout.over(window, min_share=VISIBLE_SHARE).regions if region.thing]
    things = sorted(whole, key=lambda region: _middle(region.box))
    place = _place(plan.regions)
    if not things:
        return f"an empty view of {place}" if place else plan.base_prompt
    said = _positioned(things) if len(things) <= MAX_POSITIONED else _counted(things)
    return f"{place} with {joined(said)}" if place else joined(said)


def scene_caption(caption: str, layout: Layout, window: Bounds) -> str:
    """What a window is told of the whole canvas: time and weather, and the places that it meets, without their things.

    Told of all places, windows of a lake got stripes of the desert that stands farther on.

    The caption stays as it is where its things are all that tells a model what it looks at: where it says no weather
    (horizons were lost), and in windows with parts of two levels, such as sky and surface (second horizons came).

    Args:
        caption: of the whole canvas.
        layout: of it.
        window: px.
    """
    lead, met = scene_lead(caption), layout.over(window).regions
    levels = {region.level for region in met}
    if lead is None or len(levels) != 1:
        return caption
    places = _place(met)
    return f"{lead}: {places}" if places else lead


def _level(met: Sequence[Region]) -> Level:
    """What a window is of: the surface where there is enough of it, else sky or ground."""
    shares: dict[Level, float] = {}
    for region in met:
        shares[region.level] = shares.get(region.level, 0.0) + region.box.area
    return "surface" if shares.get("surface", 0.0) >= SURFACE_SHARE else max(shares, key=lambda name: shares[name])


def _place(met: Sequence[Region]) -> str:
    """The places of a window's level."""
    shares: dict[Level, dict[str, float]] = {}
    middles: dict[str, float] = {}
    for region in met:
        of_level = shares.setdefault(region.level, {})
        of_level[region.place] = of_level.get(region.place, 0.0) + region.box.area
        middles[region.place] = middles.get(region.place, 0.0) + region.box.area * _middle(region.box)
    level = _level(met)
    total = sum(shares[level].values())
    places = [name for name, share in shares[level].items() if name and share >= NAMED_SHARE * total]
    places.sort(key=lambda name: middles[name] / sum(each.get(name, 0.0) for each in shares.values()))
    if len(places) == 2:
        return f"{places[0]} on the left and {places[1]} on the right"
    return joined(places) if places else ""


def _positioned(things: Sequence[Region]) -> list[str]:
    return [f"{region.thing} {_position(_middle(region.box))}" for region in things]


def _counted(things: Sequence[Region]) -> list[str]:
    """Each thing once, counted where it comes several times: "three red barns"."""
    said = []
    for thing, count in Counter(region.thing for region in things).items():
        of_one, rest = split_count(thing)
        said.append(f"{_NUMBER_WORDS.get(count, str(count))} {many_of(rest)}" if count > 1 and of_one == 1 else thing)
    return said


def _position(x: float) -> str:
    return "on the left" if x < _LEFT else "on the right" if x > _RIGHT else "in the middle"


def _middle(box: RegionBox) -> float:
    return (box.x0 + box.x1) / 2
