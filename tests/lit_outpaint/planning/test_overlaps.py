import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.planning.boxes import WHOLE, RegionBox
from lit_outpaint.planning.overlaps import largest_free, resolved

FIFTHS = st.integers(0, 5).map(lambda n: n / 5)


@st.composite
def boxes(draw: st.DrawFn) -> RegionBox:
    x0, x1 = sorted(draw(st.lists(FIFTHS, min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(FIFTHS, min_size=2, max_size=2, unique=True)))
    return RegionBox(x0, y0, x1, y1)


def _reference_largest(taken: list[RegionBox]) -> float:
    """Area of the largest free rectangle, all on a grid of fifths tried."""
    edges = [n / 5 for n in range(6)]
    free = [
        RegionBox(x0, y0, x1, y1).area
        for x0 in edges
        for x1 in edges
        for y0 in edges
        for y1 in edges
        if x0 < x1 and y0 < y1 and not any(other.intersection(RegionBox(x0, y0, x1, y1)) for other in taken)
    ]
    return max(free, default=0.0)


@settings(deadline=None, max_examples=40)
@given(st.lists(boxes(), max_size=5))
def test_the_largest_free_rectangle_is_the_largest(taken: list[RegionBox]) -> None:
    found = largest_free(taken)
    assert (found.area if found else 0.0) == pytest.approx(_reference_largest(taken))
    assert found is None or not any(found.intersection(other) for other in taken)


@settings(deadline=None)
@given(st.lists(boxes(), max_size=6), st.lists(boxes(), max_size=2))
def test_what_is_resolved_overlaps_no_longer_and_stays_in_its_box(
    given: list[RegionBox], taken: list[RegionBox]
) -> None:
    results = resolved(given, taken)
    kept = [box for box in results if box is not None]
    for number, box in enumerate(kept):
        assert not any(box.intersection(other) for other in [*kept[:number], *taken])
    for before, after in zip(given, results, strict=True):
        assert after is None or after.intersection(before) == after


def test_the_earlier_box_keeps_its_place() -> None:
    one, other = RegionBox(0, 0, 0.6, 1), RegionBox(0.5, 0, 1, 1)
    assert resolved([one, other]) == [one, RegionBox(0.6, 0, 1, 1)]
    assert resolved([other, one]) == [other, RegionBox(0, 0, 0.5, 1)]
    assert resolved([WHOLE, one]) == [WHOLE, None]
