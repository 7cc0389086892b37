"""The words of a prompt that stand between noun phrases, and what each says of the things beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

Lane = Literal["left", "middle", "right"]
Band = Literal["top", "bottom"]
Kind = Literal[
    "position",
    "own_side",
    "left",
    "right",
    "above",
    "below",
    "between",
    "beside",
    "with",
    "place",
    "list",
    "stop",
    "filler",
]
"""A position in the picture; the side of what was named before ("on its right"); a relation to what follows; "with";
a preposition before a place; a comma or "and"; the end of a sentence; a word that says nothing of places."""

_SIDE: Final = r"(?:far |very )?(?P<{0}>left|right)(?:[ -]hand)?(?: side)?"
_PICTURE: Final = r"(?: of (?:the|this) (?:picture|image|photo|view|scene|frame|canvas))?\b"

# Tried in this order at each place of the text.
_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    (
        "position",
        r"\b(?:in|at|on|to) the (?P<vertical>upper|top|lower|bottom)[ -](?P<side>left|right)(?: corner)?" + _PICTURE,
    ),
    (
        "position",
        r"\b(?:in|at|on|near) the (?P<band>top|bottom|upper|lower)(?: (?:half|part|edge|side))?"
        + _PICTURE
        + r"(?! of\b)",
    ),
    ("position", r"\b(?:on|to|at|in) the " + _SIDE.format("lane") + _PICTURE + r"(?! of\b)"),
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
    ("with", r"\b(?:without|with|containing|featuring|showing|shows|has|have)\b"),
    (
        "place",
        r"\b(?:in the middle of|high up in|deep in|in|inside|within|on|onto|at|by|along|across|through|against|amid)\b",
    ),
    ("list", r"(?:,\s*)?\b(?:and also|and|as well as|along with|together with|plus)\b|,"),
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
    """For a position and for ``own_side``: where from left to right."""
    band: Band | None = None
    """For a position: where from top to bottom."""


def connectors(text: str) -> Iterator[Connector]:
    """All connectors of a text, in order."""
    for match in _CONNECTOR.finditer(text):
        kind = next(kind for i, (kind, _) in enumerate(_PATTERNS) if match[f"p{i}"] is not None)
        said = {name: value.lower() for name, value in match.groupdict().items() if value is not None}
        if kind == "side":
            kind = said["of"]
        lane = said.get("lane") or said.get("side") or said.get("own") or ("middle" if "middle" in said else None)
        vertical = said.get("vertical") or said.get("band") or said.get("high")
        band: Band | None = None if vertical is None else "top" if vertical in ("top", "upper", "high up") else "bottom"
        yield Connector(kind, match[0], match.start(), match.end(), lane, band)  # type: ignore[arg-type]
