"""The words of a prompt that stand between noun phrases, and what each says of the things beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from lit_outpaint.planning.phrases import is_scenery

Lane = Literal["left", "middle", "right"]
Band = Literal["top", "bottom"]
Kind = Literal[
    "position",
    "part",
    "own_side",
    "left",
    "right",
    "above",
    "below",
    "between",
    "beside",
    "with",
    "without",
    "place",
    "list",
    "stop",
    "filler",
]
"""A position in the picture; a part of the place that follows; the side of what was named before ("on its right"); a
relation to what follows; "with"; "without"; a preposition before a place; a comma or "and"; the end of a sentence; a
word that says nothing of places."""

# Nothing that is optional here is given back (?+), or "on the left side of a dog" would end at "on the left".
_SIDE: Final = r"(?:far |very )?(?P<{0}>left|right)(?:[ -]hand)?+(?: side)?+"
_FRAME: Final = r" of (?:the|this) (?:picture|image|photo|view|scene|frame|canvas)\b"
_PICTURE: Final = rf"(?:{_FRAME})?+\b"

# Tried in this order at each place of the text.
_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    (
        "position",
        r"\b(?:in|at|on|to) the (?P<vertical>upper|top|lower|bottom)[ -](?P<side>left|right)(?: corner)?+"
        + _PICTURE
        + r"(?! of\b)",
    ),
    (
        "position",
        r"\b(?:in|at|on|near) the (?P<band>top|bottom|upper|lower)(?: (?:half|part|edge|side))?+"
        + _PICTURE
        + r"(?! of\b|[ -](?:left|right)\b)",
    ),
    (
        "position",
        r"\b(?:on|to|at|in) the "
        + _SIDE.format("lane")
        + r"(?: (?:half|part|edge|corner))?+"
        + _PICTURE
        + r"(?! of\b)",
    ),
    ("position", r"(?:\((?:far )?|\bfar )(?P<bare>left|right)\b\)?(?! of\b)"),
    (
        "part",
        r"\b(?:in|at|on) the "
        r"(?:(?P<part_band>upper|top|lower|bottom)(?:[ -](?P<corner>left|right))?|"
        r"(?P<part_lane>left|right)(?:[ -]hand)?)"
        rf" (?:side|half|part|edge|corner)(?!{_FRAME}) of\b",
    ),
    ("position", r"\b(?:in|at) the (?P<middle>middle|cent(?:er|re))" + _PICTURE + r"(?! of\b)"),
    ("position", r"\b(?P<high>high up)\b(?! in\b)"),
    ("own_side", r"\b(?:on|to|at) (?:its|their|his|her) (?P<own>left|right)(?:[ -]hand)?(?: side)?\b"),
    ("filler", r"\b(?:in|on) the (?:far )?(?:foreground|background|distance)\b"),
    ("side", r"\b(?:(?:immediately |directly |just )?(?:on|to|at) )?(?:the )?" + _SIDE.format("of") + r" of\b"),
    ("above", r"\b(?:(?:high |directly |right |just )?above|over|on (?:the )?top of|atop|higher than)\b"),
    (
        "below",
        r"\b(?:(?:directly |right |just )?(?:below|underneath|beneath)|under|on (?:the )?bottom of|lower than)\b",
    ),
    ("between", r"\b(?:in between|between)\b"),
    (
        "beside",
        r"\b(?:next to|beside|near(?: to)?|close to|alongside|adjacent to|on (?:the )?side of|in front of|behind|"
        r"opposite|across from)\b",
    ),
    (
        "filler",
        r"\b(?:there (?:is|are|stands?|lies)|there's|here (?:is|are)|(?:we|you) (?:can )?see|can be seen|is set)\b",
    ),
    (
        "filler",
        r"\b(?:is|are|was|were|stands?|sits?|lies|lie|appears?|rests?|floats?|drifts?|hangs?|rises?|standing|"
        r"sitting|lying|located|positioned|placed|covers?|seen|while|where|then)\b",
    ),
    ("without", r"\b(?:without|with no|with neither|free of)\b"),
    ("with", r"\b(?:with|containing|featuring|showing|shows|has|have)\b"),
    (
        "place",
        r"\b(?:in the middle of|high up in|deep in|in|inside|within|on|onto|at|by|along|across|through|against|amid)\b",
    ),
    ("list", r"(?:,\s*)?\b(?:and also|and|as well as|along with|together with|plus)\b|,|&"),
    ("stop", r"[.;:!?]+(?=\s|$)"),
)
_CONNECTOR: Final = re.compile(
    "|".join(f"(?P<p{i}>{pattern})" for i, (_, pattern) in enumerate(_PATTERNS)), re.IGNORECASE
)


class Connector(NamedTuple):
    """One of them in a text."""

    kind: Kind
    text: str
    start: int
    end: int
    lane: Lane | None = None
    """For a position, a part and ``own_side``: where from left to right."""
    band: Band | None = None
    """For a position and a part: where from top to bottom."""


def connectors(text: str) -> Iterator[Connector]:
    """All connectors of a text, in order."""
    for match in _CONNECTOR.finditer(text):
        kind: str | None = next(kind for i, (kind, _) in enumerate(_PATTERNS) if match[f"p{i}"] is not None)
        said = {name: value.lower() for name, value in match.groupdict().items() if value is not None}
        sides = [said[name] for name in ("lane", "side", "bare", "corner", "part_lane", "own", "of") if name in said]
        lane = sides[0] if sides else "middle" if "middle" in said else None
        vertical = said.get("vertical") or said.get("band") or said.get("part_band") or said.get("high")
        band: Band | None = None if vertical is None else "top" if vertical in ("top", "upper", "high up") else "bottom"
        if kind == "part":
            following = _CONNECTOR.search(text, match.end())
            if not is_scenery(text[match.end() : None if following is None else following.start()]):
                # "A cat on the left side of a dog" is left of it; one "in the left corner of a box" is one phrase.
                if band is not None or "side" not in match[0].lower():
                    continue
                kind = lane
        elif kind == "side":
            kind = lane
        yield Connector(kind, match[0], match.start(), match.end(), lane, band)  # type: ignore[arg-type]
