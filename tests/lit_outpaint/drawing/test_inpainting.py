import numpy as np

from lit_outpaint.drawing.inpainting import matched


def test_a_drift_of_colour_is_taken_back_up_to_the_edge_of_the_mask() -> None:
    known = np.full((48, 48, 3), 100, dtype=np.uint8)
    mask = np.zeros((48, 48), dtype=bool)
    mask[12:36, 16:40] = True
    assert np.abs(matched(known, known + np.uint8(10), mask)[mask].astype(int) - 100).max() <= 3
    assert np.array_equal(matched(known, known, mask), known)


def test_another_thing_keeps_its_colour() -> None:
    known = np.full((48, 48, 3), 100, dtype=np.uint8)
    mask = np.zeros((48, 48), dtype=bool)
    mask[12:36, 16:40] = True
    drawn = np.full_like(known, 220)
    assert matched(known, drawn, mask)[mask].min() >= 220 - 24
