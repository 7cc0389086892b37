"""Things on a canvas against those that its caption names, by count.

Definitions (pieces are connected pieces of one object kind, see `eval.readings`):

- **counts right**: of the things that the caption names (a kind, with its colour where it has one), those of which
  exactly as many pieces are seen.
- **repeated**: pieces of a kind beyond as many as the caption names, whatever their colour.
- **stacked**: pieces that stand on another one, that is, whose columns overlap by half of the narrower one with less
  than 1/32 of a window between them; and pieces higher than half a window, which are two in one. Things of the scapes
  world are at most 0.39 windows high, and two above each other are at least 0.07 windows apart.
- **missing**: pieces that lack to as many as the caption names, whatever their colour.
- **unasked**: pieces of kinds that the caption does not name.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eval.readings import ClassNames, Piece
from lit_outpaint.planning.phrases import class_of
from lit_outpaint.planning.places import read_scenery

Named = Counter[tuple[str, str | None]]
"""How often a caption names each kind in a colour; None where it names no colour."""

MAX_GAP: Final = 1 / 32
"""Share of a window that may lie between two pieces that stand on each other."""
MAX_HEIGHT: Final = 0.5
"""Share of a window that one thing is high at most."""
MIN_OVERLAP: Final = 0.5
"""Share of the narrower one that two pieces share of their columns when one stands on the other."""


@dataclass(frozen=True)
class Counted:
    """A canvas in numbers."""

    named: int
    """Things that the caption names, each with its count."""
    right: int
    """Those of which the count is right."""
    repeated: int
    stacked: int
    flawed: int
    """Pieces that are stacked or repeated, each once."""
    missing: int
    unasked: int


def named_things(caption: str, names: ClassNames) -> Named:
    """The things of a caption that the judge knows."""
    scenery = read_scenery(caption)
    phrases = [thing for place in (*scenery.surface, scenery.sky, scenery.ground) for thing in place.things]
    found = ((class_of(phrase, names.kinds[1:]), class_of(phrase, names.colours[1:])) for phrase in phrases)
    return Counter((kind, colour) for kind, colour in found if kind is not None)


def count(named: Named, pieces: Sequence[Piece], size_px: tuple[int, int], window_px: int) -> Counted:
    """Set what is seen against what the caption names.

    Args:
        named: of the caption.
        pieces: of the canvas.
        size_px: width and height of the canvas.
        window_px: side of a window.
    """
    seen = Counter(piece.kind for piece in pieces)
    wanted: Counter[str] = Counter()
    for (kind, _), number in named.items():
        wanted[kind] += number
    right = sum(
        sum(piece.kind == kind and colour in (None, piece.colour) for piece in pieces) == number
        for (kind, colour), number in named.items()
    )
    by_size = sorted(range(len(pieces)), key=lambda index: -pieces[index].num_px)
    repeated = {
        index
        for kind, number in wanted.items()
        for index in [index for index in by_size if pieces[index].kind == kind][number:]
    }
    stacked = _stacked(pieces, size_px, window_px)
    return Counted(
        named=len(named),
        right=right,
        repeated=len(repeated),
        stacked=len(stacked),
        flawed=len(repeated | stacked),
        missing=sum(max(number - seen[kind], 0) for kind, number in wanted.items()),
        unasked=sum(number for kind, number in seen.items() if kind not in wanted),
    )


def _stacked(pieces: Sequence[Piece], size_px: tuple[int, int], window_px: int) -> set[int]:
    """Of two that stand on each other the smaller one, and each that is too high."""
    boxes = [_in_windows(piece, size_px, window_px) for piece in pieces]
    found = {index for index, (_, top, _, bottom) in enumerate(boxes) if bottom - top > MAX_HEIGHT}
    for one, first in enumerate(boxes):
        for other in range(one + 1, len(boxes)):
            second = boxes[other]
            shared = min(first[2], second[2]) - max(first[0], second[0])
            narrower = min(first[2] - first[0], second[2] - second[0])
            gap = max(first[1], second[1]) - min(first[3], second[3])
            if shared >= MIN_OVERLAP * narrower and gap < MAX_GAP:
                found.add(min(one, other, key=lambda index: pieces[index].num_px))
    return found


def _in_windows(piece: Piece, size_px: tuple[int, int], window_px: int) -> tuple[float, float, float, float]:
    """The ends of a piece in window sides."""
    across, down = size_px[0] / window_px, size_px[1] / window_px
    x0, y0, x1, y1 = piece.box
    return x0 * across, y0 * down, x1 * across, y1 * down
