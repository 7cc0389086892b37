"""The split-ratio grammar of Recaption, Plan, Generate: a text such as ``1;2,1,1`` for a grid without gaps.

Rows are parted by ``;`` and columns by ``,``. With any ``;`` the first number of a row is its height and the others are
the widths of its columns; a row of one number has one column. Without ``;`` the numbers are the widths of one row.
Numbers are relative. Cells are numbered row by row, from left to right.

Source: Yang et al. 2024, arXiv:2401.11708; the grammar is that of the released code, read with white space forgiven.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, Literal

from lit_outpaint.planning.boxes import Cell, RegionBox

MAX_CELLS: Final = 64
"""More regions than this on one picture are a mistake of the planner."""
MAX_CHARS: Final = 2000
"""A longer text is no split ratio of at most `MAX_CELLS` cells."""
MAX_RATIO: Final = 1000
"""Most that two numbers beside each other may differ by, as a factor."""

GridFault = Literal["empty", "too_long", "not_a_number", "not_positive", "too_many_cells", "too_uneven"]
"""What is wrong with a text: nothing in it or in one of its rows, more than `MAX_CHARS`, something that is no plain
decimal number, a zero, more than `MAX_CELLS`, or numbers further apart than `MAX_RATIO`."""

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_QUOTED_CHARS: Final = 40


class GridError(ValueError):
    """A text is no split ratio.

    Args:
        fault: what is wrong, to act or to count on.
        message: one line for people.
    """

    def __init__(self, fault: GridFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of cells."""

    height: float = 1.0
    """Relative to the other rows."""
    widths: tuple[float, ...] = (1.0,)
    """Of its cells, relative to each other."""


@dataclass(frozen=True)
class Grid:
    """A picture divided into rows, and each of these into cells."""

    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.rows or not all(row.widths for row in self.rows):
            raise GridError("empty", "a split ratio needs at least one number in each row, as in 1;1,1")
        if len(self) > MAX_CELLS:
            raise GridError("too_many_cells", f"a split ratio may have {MAX_CELLS} cells at most, got {len(self)}")
        for numbers in ([row.height for row in self.rows], *(row.widths for row in self.rows)):
            _check(numbers)

    def __len__(self) -> int:
        return sum(len(row.widths) for row in self.rows)

    def __str__(self) -> str:
        """The text that `parse_grid` reads back."""
        if len(self.rows) == 1:
            return ",".join(map(_text, self.rows[0].widths))
        return ";".join(",".join(map(_text, _numbers(row))) for row in self.rows)

    def boxes(self) -> list[RegionBox]:
        """The cells in shares of the picture, in order; they tile it."""
        boxes = []
        for (y0, y1), row in zip(pairwise(_edges([row.height for row in self.rows])), self.rows, strict=True):
            boxes += [RegionBox(float(x0), float(y0), float(x1), float(y1)) for x0, x1 in pairwise(_edges(row.widths))]
        return boxes

    def cells(self, height: int, width: int) -> list[Cell]:
        """The cells on a map, in order: edges ``floor(height * cumulative share)``, so that they tile the map."""
        return [box.cell(height, width) for box in self.boxes()]


def parse_grid(text: str) -> Grid:
    """Read a split ratio.

    >>> str(parse_grid("1; 2, 1, 1"))
    '1;2,1,1'

    Raises:
        GridError: the text is none.
    """
    if len(text) > MAX_CHARS:
        raise GridError("too_long", f"a split ratio may have {MAX_CHARS} characters at most, got {len(text)}")
    rows = [[_parse_number(number.strip(), text) for number in row.split(",")] for row in text.split(";")]
    if len(rows) == 1:
        return Grid((Row(widths=tuple(rows[0])),))
    return Grid(tuple(Row(height=height, widths=tuple(widths) or (1.0,)) for height, *widths in rows))


def _parse_number(text: str, whole: str) -> float:
    if not text:
        raise GridError("empty", f"a split ratio needs a number between its marks, got {_quoted(whole)}; as in 1;1,1")
    if not _NUMBER.fullmatch(text):
        raise GridError(
            "not_a_number", f"a split ratio holds plain decimal numbers, got {_quoted(text)}; write it as in 1;0.5,1"
        )
    return float(text)


def _check(numbers: Sequence[float]) -> None:
    least, most = min(numbers), max(numbers)
    # Written so that a NaN is refused as well.
    if not least > 0:
        raise GridError("not_positive", f"numbers of a split ratio must be positive, got {least}")
    if not most <= MAX_RATIO * least:
        raise GridError(
            "too_uneven", f"numbers of a split ratio may differ by a factor of {MAX_RATIO}, got {least} and {most}"
        )


def _edges(numbers: Sequence[float]) -> list[Fraction]:
    """Cumulative shares from 0 to exactly 1."""
    exact = [Fraction(repr(float(number))) for number in numbers]
    return [part / sum(exact) for part in accumulate(exact, initial=Fraction(0))]


def _numbers(row: Row) -> tuple[float, ...]:
    """A row as the grammar lists it; a lone cell goes without its width."""
    return (row.height,) if row.widths == (1.0,) else (row.height, *row.widths)


def _text(number: float) -> str:
    """Without an exponent, and without a point where the number is whole."""
    return format(Decimal(repr(float(number))), "f").removesuffix(".0")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED_CHARS else text[:_QUOTED_CHARS] + "...")
