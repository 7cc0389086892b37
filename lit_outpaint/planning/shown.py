"""A plan for people: as a table and as a picture."""

from __future__ import annotations

import textwrap
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from lit_outpaint.planning.boxes import WHOLE, RegionBox
from lit_outpaint.planning.regions import Region, RegionPlan

MAX_DRAWN: Final = 2000
"""More regions than this are a canvas that one picture cannot show."""
MAX_LISTED: Final = 100
"""Of the prompts without room in their boxes so many are listed."""

_LONGER_SIDE_PX: Final = 1024
_SHORTER_SIDE_PX: Final = 160
_MARGIN_PX: Final = 16
_FONT_PX: Final = 18
_PAPER, _INK = (250, 250, 248), (30, 30, 34)
# Tints on which dark text can be read; neighbours differ.
_TINTS: Final = (
    (205, 225, 245),
    (250, 220, 190),
    (210, 238, 205),
    (244, 208, 220),
    (226, 214, 244),
    (246, 238, 184),
    (198, 234, 230),
    (228, 222, 210),
)


def plan_table(plan: RegionPlan) -> str:
    """The base prompt, and a line for each region: id, where from left to right and from top to bottom, prompt."""
    head = f"base: {plan.base_prompt}"
    if not plan.regions:
        return f"{head}\nno regions: the whole picture follows the base prompt"
    rows = [("region", "x", "y", "prompt"), *(_row(region, plan.unit) for region in plan.regions)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    return "\n".join([head, *lines])


def draw_plan(plan: RegionPlan) -> Image.Image:
    """The boxes with their prompts in them, and the base prompt below, where prompts without room stand by number.

    Raises:
        ValueError: there are more than `MAX_DRAWN` regions.
    """
    if len(plan.regions) > MAX_DRAWN:
        raise ValueError(f"a plan with more than {MAX_DRAWN} regions cannot be drawn, got {len(plan.regions)}")
    frame = _frame(plan)
    scale = _LONGER_SIDE_PX / max(frame.width, frame.height)
    width = max(round(frame.width * scale), _SHORTER_SIDE_PX)
    height = max(round(frame.height * scale), _SHORTER_SIDE_PX)
    font = ImageFont.load_default(_FONT_PX)
    cells = [region.box.relative_to(frame).cell(height, width) for region in plan.regions]
    rooms = [(cell.x1 - cell.x0 - 8, cell.y1 - cell.y0 - 8) for cell in cells]
    texts = [_fitting(region.prompt, *room, font) for region, room in zip(plan.regions, rooms, strict=True)]
    apart = [number for number, text in enumerate(texts) if text is None][:MAX_LISTED]
    for place, number in enumerate(apart, start=1):
        texts[number] = _fitting(str(place), *rooms[number], font) or ""
    listed = ", ".join(f"{place} {plan.regions[number].prompt}" for place, number in enumerate(apart, start=1))
    below = "\n".join(_wrapped(text, width, font) for text in (plan.base_prompt, listed) if text)
    picture = Image.new("RGB", (width + 2 * _MARGIN_PX, height + 3 * _MARGIN_PX + _height(below, font)), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((_MARGIN_PX, _MARGIN_PX, _MARGIN_PX + width, _MARGIN_PX + height), outline=_INK)
    for number, (cell, text) in enumerate(zip(cells, texts, strict=True)):
        corners = (cell.x0 + _MARGIN_PX, cell.y0 + _MARGIN_PX, cell.x1 + _MARGIN_PX, cell.y1 + _MARGIN_PX)
        draw.rectangle(corners, fill=_TINTS[number % len(_TINTS)], outline=_INK)
        draw.multiline_text((corners[0] + 6, corners[1] + 4), text or "", fill=_INK, font=font)
    draw.multiline_text((_MARGIN_PX, height + 2 * _MARGIN_PX), below, fill=_INK, font=font)
    return picture


def _frame(plan: RegionPlan) -> RegionBox:
    if plan.unit == "share" or not plan.regions:
        return WHOLE
    edges = list(zip(*(region.box.as_tuple() for region in plan.regions), strict=True))
    return RegionBox(min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3]))


def _row(region: Region, unit: str) -> tuple[str, str, str, str]:
    x0, y0, x1, y1 = region.box.as_tuple()
    return region.id, _span(x0, x1, unit), _span(y0, y1, unit), region.prompt


def _span(start: float, end: float, unit: str) -> str:
    if unit == "px":
        return f"{start:.0f} .. {end:.0f} px"
    return f"{100 * start:.0f} .. {100 * end:.0f} %"


def _wrapped(text: str, width_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A text in lines that are not wider than a box, as far as its words allow."""
    letter_px = max(font.getlength("n"), 1.0)
    return "\n".join(textwrap.wrap(text, max(int(width_px / letter_px), 4), break_long_words=False))


def _fitting(
    text: str, width_px: int, height_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str | None:
    """The text in lines that fit into a box; None where it has no room."""
    wrapped = _wrapped(text, width_px, font)
    lines = wrapped.splitlines()
    fits = len(lines) <= height_px // (_FONT_PX + 4) and all(font.getlength(line) <= width_px for line in lines)
    return wrapped if fits else None


def _height(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return (text.count("\n") + 1) * (_FONT_PX + 4)
