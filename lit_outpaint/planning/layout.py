"""The layout of a whole canvas, planned before anything is drawn: each thing is owned by one place.

The rows of the first image are the surface: places follow each other along x, each divided into slots that hold one
thing or nothing. Above lies sky, below lies ground. The layout is a `RegionPlan` in canvas pixels; what a window is to
show is ``plan.over(window)``, its caption is ``local_caption(plan, window)``. Neither depends on the order in which
windows are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from lit_outpaint.planning.boxes import Bounds, RegionBox
from lit_outpaint.planning.places import Place, Scenery, read_scenery, with_sky_on_the_surface
from lit_outpaint.planning.regions import Region, RegionPlan
from lit_outpaint.planning.slots import Stretch, cell_regions, named, needed, row_regions, slot_edges, too_small

MAX_PLACE_WINDOWS: Final = 16
"""A canvas on which places would become wider passes through them several times."""
MIN_SLOTS_PER_WINDOW, MAX_SLOTS_PER_WINDOW = 2, 4
"""A thing has room in half a window, in a quarter where there are many."""


def plan_layout(
    caption: str,
    canvas_box: Bounds,
    window_px: int,
    *,
    image_box: Bounds | None = None,
    image_caption: str = "",
    stride_px: int | None = None,
    circumference_px: int | None = None,
) -> RegionPlan:
    """Lay out a rectangle, a strip or a ring of known size by rules.

    The places of the caption stand side by side in its order, beginning with the first one where the first image is.
    The image is taken to show that place and as many of its things as it has room for, unless it has a caption of its
    own. Each thing stands on the canvas as often as the caption says; only on a canvas that is very wide for its places
    they come again.

    Args:
        caption: of the whole canvas.
        canvas_box: what the canvas will span, px.
        window_px: side of a window.
        image_box: the first image, px; its rows are the surface. Without it the rows in the middle are.
        image_caption: what the first image shows, where it is known; those things are not planned again.
        stride_px: new pixels of a step, half a window when absent; things keep to the steps.
        circumference_px: for a ring its length, which the canvas then spans.

    Raises:
        ValueError: the canvas is too small for the things that the caption names.
    """
    canvas = RegionBox.of(canvas_box)
    slot_px = float(stride_px or window_px // MIN_SLOTS_PER_WINDOW)
    image = None if image_box is None else RegionBox.of(image_box)
    top, bottom = _surface_rows(canvas, window_px, image)
    has_sky, has_ground = top > canvas.y0, bottom < canvas.y1
    scenery = with_sky_on_the_surface(read_scenery(caption), sky=has_sky, ground=has_ground)
    anchor = canvas.x0 if image is None else image.x0
    surface = RegionBox(canvas.x0, top, canvas.x1, bottom)
    regions = _surface(scenery, surface, window_px, slot_px, image, image_caption)
    columns = slot_edges(canvas.x0, canvas.x1, anchor, slot_px)
    if has_sky:
        regions += cell_regions(scenery.sky, columns, slot_edges(canvas.y0, top, top, slot_px), "sky")
    if has_ground:
        regions += cell_regions(scenery.ground, columns, slot_edges(bottom, canvas.y1, bottom, slot_px), "ground")
    return RegionPlan(base_prompt=caption, regions=named(regions), unit="px", period_px=circumference_px)


def _surface_rows(canvas: RegionBox, window_px: int, image: RegionBox | None) -> tuple[float, float]:
    if image is not None:
        return max(image.y0, canvas.y0), min(image.y1, canvas.y1)
    spare = max(canvas.height - window_px, 0.0)
    return canvas.y0 + spare // 2, canvas.y1 - (spare - spare // 2)


def _surface(
    scenery: Scenery,
    band: RegionBox,
    window_px: int,
    slot_px: float,
    image: RegionBox | None,
    image_caption: str,
) -> list[Region]:
    """The surface from left to right, with slots as narrow as its things make them."""
    num_places = len(scenery.surface)
    passes = max(1, round(band.width / (num_places * MAX_PLACE_WINDOWS * window_px)))
    anchor = band.x0 if image is None else image.x0
    divided = False
    while True:
        edges = slot_edges(band.x0, band.x1, anchor, slot_px)
        if image is None:
            row = [Stretch(place=place) for _ in range(passes) for place in scenery.surface]
            if needed(row) <= len(edges) - 1:
                return row_regions(row, edges, band.y0, band.y1)
        else:
            regions = _around_image(scenery, passes, edges, band, image, image_caption, divided)
            if regions is not None:
                return regions
        if passes > 1:
            passes -= 1
        elif slot_px / 2 >= window_px / MAX_SLOTS_PER_WINDOW:
            slot_px /= 2
        elif not divided:
            divided = True
        else:
            things = tuple(thing for place in scenery.surface for thing in place.things)
            raise ValueError(too_small(Place("", things), len(edges) - 1))


def _around_image(
    scenery: Scenery,
    passes: int,
    edges: Sequence[float],
    band: RegionBox,
    image: RegionBox,
    image_caption: str,
    divided: bool,
) -> list[Region] | None:
    """The surface with the first place at the image; None when there are too few slots."""
    begin = sum(edge <= image.x0 for edge in edges) - 1
    end = len(edges) - sum(edge >= image.x1 for edge in edges)
    first, others, shown = _by_image(scenery.surface, image_caption, end - begin)
    round_trip = [*others, *([replace(first, things=shown.things + first.things), *others] * (passes - 1))]
    num_left, num_right = begin, len(edges) - 1 - end
    half = (end - begin) / 2
    for after, before in _parted(round_trip, num_left / max(num_left + num_right, 1), divided):
        # Going left the places come backwards, so that from left to right they are in order everywhere.
        left, right = ([Stretch(place=place) for place in places] for places in (before, after))
        # What the image leaves of its own place stands to the right of it, as far as there is room.
        spare = max(num_right - needed(right), 0)
        left.append(Stretch(place=Place(first.name, first.things[spare:]), head_start=half, may_vanish=True))
        right.insert(0, Stretch(place=Place(first.name, first.things[:spare]), head_start=half, may_vanish=True))
        if needed(left) <= num_left and needed(right) <= num_right:
            middle = max(len(shown.things), end - begin)
            inner = [edges[begin] + (edges[end] - edges[begin]) * number / middle for number in range(middle + 1)]
            return [
                *row_regions(left, edges[: begin + 1], band.y0, band.y1),
                *row_regions([Stretch(place=shown)], inner, band.y0, band.y1),
                *row_regions(right, edges[end:], band.y0, band.y1),
            ]
    return None


def _parted(
    round_trip: Sequence[Place], left_share: float, divided: bool
) -> Iterator[tuple[Sequence[Place], Sequence[Place]]]:
    """What follows the image on its right and what comes before it on its left: between two places, near the shares.

    Args:
        round_trip: the places in the order in which they follow the image.
        left_share: of the room beside the image.
        divided: then also inside a place, which so stands at both ends of the canvas.
    """
    guess = len(round_trip) - round(len(round_trip) * left_share)
    for count in sorted(range(len(round_trip) + 1), key=lambda count: abs(count - guess)):
        yield round_trip[:count], round_trip[count:]
    for number, place in enumerate(round_trip if divided else ()):
        for kept in range(1, len(place.things)):
            yield (
                [*round_trip[:number], Place(place.name, place.things[:kept])],
                [Place(place.name, place.things[kept:]), *round_trip[number + 1 :]],
            )


def _by_image(places: Sequence[Place], image_caption: str, room: int) -> tuple[Place, list[Place], Place]:
    """What is left of the image's place, the other places in the order in which they follow it, and what it shows."""
    if not image_caption:
        name, things = places[0].name, places[0].things
        return Place(name, things[room:]), list(places[1:]), Place(name, things[:room])
    shown = read_scenery(image_caption).surface[0]
    start = next((number for number, place in enumerate(places) if place.name == shown.name), 0)
    left = list(shown.things)
    kept = []
    for place in (*places[start:], *places[:start]):
        others: list[str] = []
        for thing in place.things:
            if thing in left:
                left.remove(thing)
            else:
                others.append(thing)
        kept.append(Place(place.name, tuple(others)))
    return kept[0], kept[1:], shown
