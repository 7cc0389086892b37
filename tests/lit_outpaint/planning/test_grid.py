from fractions import Fraction
from itertools import accumulate, pairwise
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.planning.grid import MAX_CELLS, Grid, GridError, Row, parse_grid

NUMBERS = st.one_of(
    st.integers(1, 30).map(float), st.decimals("0.1", "30", places=2, allow_nan=False, allow_infinity=False).map(float)
)
WIDTHS = st.lists(NUMBERS, min_size=1, max_size=7)
ROWS = st.one_of(
    st.lists(st.tuples(NUMBERS, WIDTHS), min_size=2, max_size=6),
    st.lists(st.tuples(st.just(1.0), WIDTHS), max_size=1, min_size=1),
)
SIDES = st.integers(1, 97)


def grid_of(rows: list[tuple[float, list[float]]]) -> Grid:
    return Grid(tuple(Row(height=height, widths=tuple(widths)) for height, widths in rows))


def _reference_cells(text: str, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The grammar as it is written down, in exact fractions."""

    def edges(numbers: list[Fraction], side: int) -> list[int]:
        return [*(floor(side * part / sum(numbers)) for part in accumulate(numbers[:-1], initial=Fraction(0))), side]

    rows = [[Fraction(number) for number in row.split(",")] for row in text.split(";")]
    heights = [row[0] for row in rows] if ";" in text else [Fraction(1)]
    widths = [row[1:] or [Fraction(1)] for row in rows] if ";" in text else rows
    return [
        (x0, y0, x1, y1)
        for (y0, y1), row in zip(pairwise(edges(heights, height)), widths, strict=True)
        for x0, x1 in pairwise(edges(row, width))
    ]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("1;1;1", [(0, 0, 12, 4), (0, 4, 12, 8), (0, 8, 12, 12)]),
        ("0.5,0.5", [(0, 0, 6, 12), (6, 0, 12, 12)]),
        ("1,1,1;1,1,1", [(0, 0, 6, 6), (6, 0, 12, 6), (0, 6, 6, 12), (6, 6, 12, 12)]),
        ("3", [(0, 0, 12, 12)]),
        ("1;2,1,3", [(0, 0, 12, 4), (0, 4, 3, 12), (3, 4, 12, 12)]),
    ],
)
def test_the_worked_cases_of_the_grammar(text: str, cells: list[tuple[int, ...]]) -> None:
    assert [tuple(cell) for cell in parse_grid(text).cells(12, 12)] == cells


def test_seven_cells_with_heights_1_2_4() -> None:
    boxes = parse_grid("1,1,1;2,1,1;4,3,2,3").boxes()
    assert [box.height * 7 for box in boxes] == pytest.approx([1, 1, 2, 2, 4, 4, 4])
    assert [box.width for box in boxes] == pytest.approx([1 / 2] * 4 + [3 / 8, 2 / 8, 3 / 8])


@settings(deadline=None)
@given(ROWS, SIDES, SIDES)
def test_cells_tile_every_map_with_edges_rounded_down(
    rows: list[tuple[float, list[float]]], height: int, width: int
) -> None:
    grid = grid_of(rows)
    cells = grid.cells(height, width)
    covered = [[0] * width for _ in range(height)]
    for cell in cells:
        for y in range(cell.y0, cell.y1):
            for x in range(cell.x0, cell.x1):
                covered[y][x] += 1
    assert all(count == 1 for line in covered for count in line)
    assert sum(cell.area for cell in cells) == height * width
    assert [tuple(cell) for cell in cells] == _reference_cells(str(grid), height, width)


@settings(deadline=None)
@given(ROWS)
def test_a_grid_survives_its_text(rows: list[tuple[float, list[float]]]) -> None:
    assert parse_grid(str(grid_of(rows))) == grid_of(rows)


@settings(deadline=None)
@given(ROWS, st.sampled_from(["", " ", "\n", "\t  "]))
def test_white_space_around_numbers_changes_nothing(rows: list[tuple[float, list[float]]], space: str) -> None:
    grid = grid_of(rows)
    text = str(grid).replace(",", f"{space},{space}").replace(";", f";{space}")
    assert parse_grid(f"{space}{text}{space}") == grid


@settings(deadline=None)
@given(ROWS, st.sampled_from([2.0, 4.0, 0.5]))
def test_numbers_are_relative(rows: list[tuple[float, list[float]]], factor: float) -> None:
    scaled = [(height * factor, [width / factor for width in widths]) for height, widths in rows]
    assert grid_of(scaled).boxes() == grid_of(rows).boxes()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("1;;1", "empty"),
        ("1,,1", "empty"),
        ("1;1;", "empty"),
        ("1;a", "not_a_number"),
        ("1 1", "not_a_number"),
        ("-1,1", "not_a_number"),
        ("1e3,1", "not_a_number"),
        ("nan,1", "not_a_number"),
        ("inf", "not_a_number"),
        ("\u0663,1", "not_a_number"),
        ("0,1", "not_positive"),
        ("1;0.0,1", "not_positive"),
        ("1,1001", "too_uneven"),
        (",".join(["1"] * (MAX_CELLS + 1)), "too_many_cells"),
        (",".join(["1"] * 10_000), "too_long"),
        ("1" * 1000, "too_uneven"),
    ],
)
def test_what_is_no_split_ratio_is_refused_by_its_fault(text: str, fault: str) -> None:
    if text == "1" * 1000:
        text = f"1,{text}"
    with pytest.raises(GridError) as caught:
        parse_grid(text)
    assert caught.value.fault == fault
    assert len(str(caught.value).splitlines()) == 1


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,; \n-ae\u0663[]", max_size=80))
def test_any_text_is_a_grid_or_a_grid_error(text: str) -> None:
    try:
        grid = parse_grid(text)
    except GridError:
        return
    assert parse_grid(str(grid)).boxes() == grid.boxes()
