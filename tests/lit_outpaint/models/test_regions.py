import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_outpaint.models.regions import (
    RegionRows,
    base_weights,
    cat_regions,
    cell_owners,
    gather_regions,
    map_size,
    pooled_embedding,
)

Box = tuple[float, float, float, float]
ratios = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def grid(heights: list[int], widths: list[list[int]]) -> list[Box]:
    """Cells of a split-ratio grid, row by row, with edges at cumulative shares."""
    boxes: list[Box] = []
    for number, row in enumerate(widths):
        top, bottom = sum(heights[:number]) / sum(heights), sum(heights[: number + 1]) / sum(heights)
        for column in range(len(row)):
            boxes.append((sum(row[:column]) / sum(row), top, sum(row[: column + 1]) / sum(row), bottom))
    return boxes


def rows_of(value: float, box: Box, base_ratio: float = 0.5) -> RegionRows:
    return RegionRows(box, torch.full((3, 4), value), base_ratio)


@given(heights=ratios, columns=st.data(), height=st.integers(1, 65), width=st.integers(1, 65))
def test_a_grid_tiles_every_map(heights: list[int], columns: st.DataObject, height: int, width: int) -> None:
    widths = [columns.draw(ratios) for _ in heights]
    owners = cell_owners(torch.tensor([grid(heights, widths)], dtype=torch.float64), height, width)[0]
    assert (owners >= 0).all()
    regions = [(row, column) for row, of_row in enumerate(widths) for column in range(len(of_row))]
    for number, (row, column) in enumerate(regions):
        top, bottom = (height * sum(heights[: row + k]) // sum(heights) for k in (0, 1))
        left, right = (width * sum(widths[row][: column + k]) // sum(widths[row]) for k in (0, 1))
        own = torch.zeros(height, width, dtype=torch.bool)
        own[top:bottom, left:right] = True
        assert torch.equal(owners == number, own)


def test_the_later_box_owns_an_overlap_and_no_box_leaves_the_base() -> None:
    owners = cell_owners(torch.tensor([[(0.0, 0.0, 0.75, 1.0), (0.5, 0.0, 0.75, 0.5)]]), 2, 4)
    assert owners.tolist() == [[[0, 0, 1, -1], [0, 0, 0, -1]]]
    weights = base_weights(owners, torch.tensor([[0.25, 0.5]]))
    assert weights.tolist() == [[[0.25, 0.25, 0.5, 1.0], [0.25, 0.25, 0.25, 1.0]]]


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (13, 7), (1, 33)])
def test_a_map_is_known_by_its_number_of_positions(size: tuple[int, int]) -> None:
    height, width = size
    for _ in range(4):
        assert map_size(size, height * width) == (height, width)
        height, width = -(-height // 2), -(-width // 2)


def test_a_map_of_another_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"8 x 8.*15 positions"):
        map_size((8, 8), 15)
    with pytest.raises(ValueError, match="0 positions"):
        map_size((8, 8), 0)


def test_samples_with_fewer_regions_are_padded_with_boxes_that_own_nothing() -> None:
    full, half = (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 1.0)
    regions = gather_regions([[rows_of(1, full), rows_of(2, half)], [rows_of(3, half)], []])
    assert regions is not None
    assert regions.hidden_states.shape == (3, 2, 3, 4)
    owners = cell_owners(regions.boxes, 1, 2)
    assert owners.tolist() == [[[1, 0]], [[0, -1]], [[-1, -1]]]
    assert gather_regions([[], []]) is None


def test_batches_of_regions_are_joined() -> None:
    full = (0.0, 0.0, 1.0, 1.0)
    one, two = gather_regions([[rows_of(1, full)]]), gather_regions([[rows_of(2, full)] * 2])
    biased = gather_regions([[rows_of(3, full)._replace(key_bias=torch.ones(3))]])
    assert one is not None
    assert two is not None
    assert biased is not None
    joined = cat_regions([one, two, biased])
    assert joined.boxes.shape == (3, 2, 4)
    assert joined.key_bias is not None
    assert joined.key_bias[:, 0, 0].tolist() == [0, 0, 1]
    assert cell_owners(joined.boxes, 1, 1).flatten().tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "box", [(0.5, 0.0, 0.5, 1.0), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.5), (0.0, 0.0, float("nan"), 1.0)]
)
def test_a_box_that_is_empty_or_leaves_the_window_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="box"):
        gather_regions([[rows_of(1, box)]])


@pytest.mark.parametrize("base_ratio", [-0.1, 1.1, float("nan")])
def test_a_base_ratio_outside_its_range_is_refused(base_ratio: float) -> None:
    with pytest.raises(ValueError, match="base_ratio"):
        gather_regions([[rows_of(1, (0.0, 0.0, 1.0, 1.0), base_ratio)]])


def test_the_pooled_embedding_is_chosen() -> None:
    base, regions = torch.zeros(1, 2), torch.tensor([[[1.0, 1.0], [3.0, 5.0]]])
    assert pooled_embedding(base, regions, "base").tolist() == [[0, 0]]
    assert pooled_embedding(base, regions, "last_region").tolist() == [[3, 5]]
    assert pooled_embedding(base, regions, "mean").tolist() == [[2, 3]]
