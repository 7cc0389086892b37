import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.canvas.geometry import DIRECTIONS, Box, Direction, new_box
from lit_outpaint.canvas.pasting import mended_corners, paste, treat_seams
from lit_outpaint.canvas.seams import SEAM_TREATMENTS, SeamTreatment, treat_seam

SIDE = 32
cells = st.integers(0, 4).map(lambda cell: 8 * cell)
new_parts = (
    st.tuples(cells, cells, cells, cells)
    .filter(lambda t: t[0] < t[2] and t[1] < t[3] and t != (0, 0, SIDE, SIDE))
    .map(lambda t: Box(*t))
)


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("treatment", SEAM_TREATMENTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_strip_is_treated_as_by_its_one_seam(direction: Direction, treatment: SeamTreatment) -> None:
    generated, known = _noise(1), _noise(2)
    new = new_box(direction, 16, SIDE)
    part = np.s_[new.y0 : new.y1, new.x0 : new.x1]
    one = treat_seam(generated, known, direction, 16, treatment, 8)
    np.testing.assert_array_equal(treat_seams(generated, known, new, treatment, 8)[part], one[part])


@settings(deadline=None, max_examples=40)
@given(new_parts, st.sampled_from(SEAM_TREATMENTS))
def test_only_the_new_part_is_written_and_an_error_free_window_left_alone(new: Box, treatment: SeamTreatment) -> None:
    generated, known = _noise(3), _noise(4)
    treated = treat_seams(generated, known, new, treatment, 8)
    untouched = np.ones((SIDE, SIDE), bool)
    untouched[new.y0 : new.y1, new.x0 : new.x1] = False
    np.testing.assert_array_equal(treated[untouched], generated[untouched])
    np.testing.assert_array_equal(treat_seams(known, known, new, treatment, 8), known)


@pytest.mark.parametrize("new", [Box(16, 0, 32, 16), Box(0, 16, 16, 32), Box(8, 0, 24, 32)])
def test_a_constant_colour_error_leaves_no_step_at_two_seams(new: Box) -> None:
    known, generated = np.full((SIDE, SIDE, 3), 100, np.uint8), np.full((SIDE, SIDE, 3), 108, np.uint8)
    composed = known.astype(int)
    part = np.s_[new.y0 : new.y1, new.x0 : new.x1]
    composed[part] = treat_seams(generated, known, new, "poisson", 8)[part]
    assert max(np.abs(np.diff(composed, axis=axis)).max() for axis in (0, 1)) <= 2
    assert composed.max() > 102


def test_corners_that_the_decoder_missed_do_not_stand_on_the_canvas() -> None:
    known = np.full((SIDE, SIDE, 3), 30, np.uint8)
    decoded = known.copy()
    decoded[[0, 0, -1, -1], [0, -1, 0, -1]] = 50
    new = Box(16, 0, 32, 32)
    np.testing.assert_array_equal(paste(decoded, known, new, "poisson", 8), known)
    np.testing.assert_array_equal(paste(decoded, known, new, "colour", 8)[:, 16:], known[:, 16:])
    kept = paste(decoded, known, new, "none", 8)
    assert (kept[[0, -1], -1] == 50).all()
    assert (kept[:, :16] == 30).all()


def test_only_corners_are_mended_and_a_ramp_keeps_its_slope() -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.uint8)
    ramp = np.repeat((3 * rows + 2 * columns)[..., None], 3, axis=-1)
    difference = np.abs(mended_corners(ramp).astype(int) - ramp)
    assert difference.max() <= 3  # Half of both slopes.
    difference[[0, 0, -1, -1], [0, -1, 0, -1]] = 0
    assert not difference.any()
