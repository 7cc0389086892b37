import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from eval.functional.seam import seam_score
from lit_outpaint.canvas.compositing import composite
from lit_outpaint.canvas.geometry import DIRECTIONS, Direction
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.canvas.seams import SEAM_TREATMENTS, SeamTreatment, grow_right, membrane, treat_seam

CORRECTING: list[SeamTreatment] = ["colour", "poisson"]


def _noise(seed: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def _smooth(seed: int, size: int = 64) -> np.ndarray:
    """A picture without edges, levels 40..215."""
    values = gaussian_filter(np.random.default_rng(seed).random((size, size, 3)), (6, 6, 0))
    values = (values - values.min()) / (values.max() - values.min())
    return np.rint(40 + 175 * values).astype(np.uint8)


def _treated(
    generated: np.ndarray, known: np.ndarray, direction: Direction, stride_px: int, treatment: SeamTreatment = "poisson"
) -> np.ndarray:
    """The window that goes onto the canvas, turned so that it grows to the right."""
    mask = outpaint_mask(direction, stride_px / len(known), *known.shape[:2])
    window = composite(known, treat_seam(generated, known, direction, stride_px, treatment), mask)
    return grow_right(window, direction).astype(int)


def _score(window: np.ndarray, seam: int) -> float:
    return float(seam_score(torch.from_numpy(window).permute(2, 0, 1)[None].float(), seam))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([16, 24, 40]),
    cells=st.integers(1, 4),
    direction=st.sampled_from(DIRECTIONS),
    treatment=st.sampled_from(SEAM_TREATMENTS),
    reach_px=st.integers(0, 50),
)
def test_only_the_new_side_is_written_and_what_lies_under_it_is_not_read(
    seed: int, size: int, cells: int, direction: Direction, treatment: SeamTreatment, reach_px: int
) -> None:
    stride_px = 8 * min(cells, size // 8 - 1)
    generated, known, other = _noise(seed, size), _noise(seed + 1, size), _noise(seed + 2, size)
    before = known.copy(), generated.copy()
    treated = treat_seam(generated, known, direction, stride_px, treatment, reach_px)
    np.testing.assert_array_equal(known, before[0])
    np.testing.assert_array_equal(generated, before[1])
    kept = size - stride_px
    np.testing.assert_array_equal(grow_right(treated, direction)[:, :kept], grow_right(generated, direction)[:, :kept])
    grow_right(other, direction)[:, :kept] = grow_right(known, direction)[:, :kept]
    np.testing.assert_array_equal(treat_seam(generated, other, direction, stride_px, treatment, reach_px), treated)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_all_directions_are_one_treatment_turned(direction: Direction) -> None:
    generated, known = _noise(1), _noise(2)
    turned = treat_seam(grow_right(generated, direction), grow_right(known, direction), "right", 16)
    np.testing.assert_array_equal(grow_right(treat_seam(generated, known, direction, 16), direction), turned)


@pytest.mark.parametrize("treatment", SEAM_TREATMENTS)
def test_a_window_decoded_without_error_is_left_alone_even_where_an_edge_lies_on_the_seam(
    treatment: SeamTreatment,
) -> None:
    np.testing.assert_array_equal(treat_seam(_noise(3), _noise(3), "right", 16, treatment), _noise(3))


@pytest.mark.parametrize("treatment", CORRECTING)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_constant_colour_error_leaves_no_step_at_the_seam(direction: Direction, treatment: SeamTreatment) -> None:
    known, generated = np.full((32, 32, 3), 100, np.uint8), np.full((32, 32, 3), 108, np.uint8)
    window = _treated(generated, known, direction, 16, treatment)
    assert np.abs(np.diff(window, axis=1)).max() <= 1
    assert np.abs(np.diff(window, axis=0)).max() == 0


def test_a_drift_of_colour_fades_over_the_whole_new_side() -> None:
    window = _treated(np.full((32, 32, 3), 108, np.uint8), np.full((32, 32, 3), 100, np.uint8), "right", 16)
    assert (np.diff(window[0, :, 0]) >= 0).all()
    assert 103 <= window[0, 24, 0] <= 105
    assert window[0, -1, 0] >= 107


def test_a_thing_cut_off_at_the_seam_fades_within_the_reach_and_leaves_no_ghost() -> None:
    known = np.full((32, 48, 3), 60, np.uint8)
    known[10:20, :16] = 220  # The model knows nothing of this bar.
    generated = np.full((32, 48, 3), 60, np.uint8)
    treated = treat_seam(generated, known, "right", 32, reach_px=8)
    assert treated[15, 16, 0] >= 200
    np.testing.assert_array_equal(treated[:, 24:], generated[:, 24:])
    np.testing.assert_array_equal(treated[:8], generated[:8])


def test_the_line_of_a_decoder_that_errs_smoothly_vanishes_from_the_seam_score() -> None:
    real = _smooth(4)
    error = 10.0 + 6.0 * np.sin(np.arange(64) / 9.0)[:, None, None]
    generated = np.clip(np.rint(real + error), 0, 255).astype(np.uint8)
    pasted = _score(_treated(generated, real, "right", 32, "none"), 32)
    treated = _score(_treated(generated, real, "right", 32), 32)
    assert pasted > 3
    assert treated < 1.2


def test_a_step_of_the_decoder_is_taken_out_where_the_known_side_shows_its_error() -> None:
    real = _smooth(5)
    generated = real.astype(int)
    generated[:, :32] += 12  # The model takes the known side for brighter, and the new side is right.
    window = _treated(generated.astype(np.uint8), real, "right", 32)
    assert np.abs(window[:, 32:] - real[:, 32:]).mean() < 2.0


@pytest.mark.parametrize(("size", "num_lines"), [(2, 1), (7, 1), (9, 14), (40, 25)])
def test_the_membrane_is_the_sparse_solution_of_laplaces_equation(size: int, num_lines: int) -> None:
    edge = np.random.default_rng(6).normal(0, 20, (size, 3)).astype(np.float32)
    np.testing.assert_allclose(membrane(edge, num_lines), _reference_membrane(edge, num_lines), atol=2e-4)


def test_the_membrane_of_a_large_window_has_no_overflow() -> None:
    field = membrane(np.ones((1024, 3), np.float32), 512)
    assert np.isfinite(field).all()
    np.testing.assert_allclose(field[:, 256], 0.5, atol=1e-4)


def test_colours_are_matched_over_the_whole_new_side() -> None:
    real = _smooth(7)
    generated = np.clip(np.rint((real.astype(float) - 128) * 0.95 + 138), 0, 255).astype(np.uint8)
    window = _treated(generated, real, "down", 32, "colour")
    assert np.abs(window - grow_right(real, "down")).max() <= 2


def _reference_membrane(edge: np.ndarray, num_lines: int) -> np.ndarray:
    """Five-point equations, one unknown per pixel after the first line, by a sparse direct solver."""
    size = len(edge)
    if num_lines == 1:
        return edge[:, None]
    shape = (size, num_lines - 1)
    equations, right_side = lil_matrix((np.prod(shape), np.prod(shape))), np.zeros((np.prod(shape), 3))
    for y, x in np.ndindex(shape):
        row = np.ravel_multi_index((y, x), shape)
        for ny, nx in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not 0 <= ny < size:
                continue  # Nothing flows across the long sides.
            equations[row, row] += 1
            if nx == -1:
                right_side[row] += edge[y]
            elif nx < shape[1]:
                equations[row, np.ravel_multi_index((ny, nx), shape)] -= 1
    inner = spsolve(equations.tocsr(), right_side).reshape(*shape, 3)
    return np.concatenate([edge[:, None], inner], axis=1)
