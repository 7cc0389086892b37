import pytest
import torch

from lit_outpaint.canvas.geometry import GROWTHS
from lit_outpaint.canvas.masks import HOLES, MASK_KINDS, MaskKind, check_mask_kind, outpaint_mask, window_mask

PLACES = range(40)


def cells(mask: torch.Tensor) -> torch.Tensor:
    """The mask by latent cell; asks that no edge lies within one."""
    picked = mask[:, ::8, ::8]
    assert torch.equal(picked.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2), mask)
    return picked[0]


@pytest.mark.parametrize("kind", MASK_KINDS)
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_masks_are_of_whole_cells_and_leave_something_new(kind: MaskKind, ratio: float) -> None:
    for place in PLACES:
        mask = window_mask(kind, ratio, 64, 128, place)
        assert mask.shape == (1, 64, 128)
        assert cells(mask).any()
        assert bool(cells(mask).all()) == (kind == "all")


@pytest.mark.parametrize("kind", GROWTHS)
def test_sides_and_corners_have_one_place(kind: MaskKind) -> None:
    assert torch.equal(window_mask(kind, 0.25, 64, 64, 7), outpaint_mask(kind, 0.25, 64, 64))  # type: ignore[arg-type]


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_a_gap_is_known_on_both_sides_over_the_whole_height(ratio: float) -> None:
    for place in PLACES:
        rows = cells(window_mask("gap", ratio, 64, 64, place))
        assert (rows == rows[0]).all()
        assert not rows[0, 0]
        assert not rows[0, -1]
        assert rows[0].diff().abs().sum() == 2  # One run of new columns.
        assert rows[0].sum() == min(round(8 * ratio), 6)


def test_boxes_are_full_and_shapes_are_round() -> None:
    for place in PLACES:
        box, shape = (cells(window_mask(kind, 0.5, 128, 128, place)) for kind in ("box", "shape"))
        rows, columns = box.any(dim=1).sum(), box.any(dim=0).sum()
        assert box.sum() == rows * columns
        assert (shape <= box).all()  # One seed puts both in one place.
        assert 0.6 < shape.sum() / box.sum() < 0.95  # pi / 4 of the box, by cells.


@pytest.mark.parametrize("kind", [hole for hole in HOLES if hole != "all"])
def test_holes_lie_anywhere(kind: MaskKind) -> None:
    touched = sum(cells(window_mask(kind, 0.25, 64, 64, place)) for place in range(400))
    inner = slice(1, -1) if kind == "gap" else slice(None)
    assert (touched[:, inner] > 0).all()  # type: ignore[index]
    assert (touched < 400).all()


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"right, up.*gap, box, shape, all, got 'ring'"):
        check_mask_kind("ring")
