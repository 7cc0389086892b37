"""Figures from metrics: what they hold must be what the metrics say of all panoramas at once."""

import pytest
import torch

from eval.metrics import FID, KID, Curve, InceptionScore, Seam
from eval.panorama_figures import score_panoramas
from eval.testing import toy_extractor, toy_pictures
from lit_outpaint.heldout.feed import Compared, PanoramaBatch
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import ImageMetric

GEOMETRY, STEPS, COUNT = Geometry("right", 16, 8), 4, 5
EXTRACTOR = toy_extractor()


@pytest.fixture(scope="module")
def rows() -> list[Compared]:
    drawn, real = (toy_pictures(COUNT, 16, 16 + 8 * STEPS, seed=seed) for seed in (0, 1))
    texts = tuple(f"step {step}" for step in range(STEPS + 1))
    return [Compared(f"p{index}", drawn[index], real[index], "all", texts) for index in range(COUNT)]


def _at_once(metric: ImageMetric, rows: list[Compared]) -> dict[str, float]:
    PanoramaBatch(rows, GEOMETRY, STEPS).feed(metric)
    return metric.compute()


def test_values_are_those_of_all_panoramas_at_once(rows: list[Compared]) -> None:
    scored = score_panoramas(rows, [Seam(stride_px=8), FID(EXTRACTOR)], GEOMETRY, STEPS)
    figures = {figure.key: figure for figure in scored.figures}
    seam, fid = _at_once(Seam(stride_px=8), rows), _at_once(FID(EXTRACTOR), rows)
    told = {key: figure.estimate.value for key, figure in figures.items() if figure.estimate}
    assert told["seam"] == pytest.approx(seam["seam.right-stride8.n20"], rel=1e-12)
    assert told["seam_over_real"] == pytest.approx(seam["seam_over_real.right-stride8.n20"], rel=1e-12)
    assert told["fid"] == pytest.approx(next(iter(fid.values())), rel=1e-6)
    assert figures["seam"].real is not None
    assert figures["seam"].real.value == pytest.approx(seam["seam.right-stride8.real-n20"], rel=1e-12)
    assert figures["seam"].title == "seam.right-stride8.n20.window16-stride8-right"
    assert (figures["seam"].estimate.num_units, figures["seam"].estimate.num_items) == (COUNT, COUNT * STEPS)  # type: ignore[union-attr]


def test_ratios_of_panoramas_add_up_to_the_value(rows: list[Compared]) -> None:
    scored = score_panoramas(rows, [Seam(stride_px=8)], GEOMETRY, STEPS)
    for figure in scored.figures:
        ratios = [row[figure.key] for row in scored.ratios]
        assert figure.estimate is not None
        whole = sum(ratio.total for ratio in ratios) / sum(ratio.num for ratio in ratios)
        assert whole == pytest.approx(figure.estimate.value, rel=1e-12)
        assert figure.estimate.low <= figure.estimate.value <= figure.estimate.high


def test_real_panoramas_score_as_if_they_had_been_drawn(rows: list[Compared]) -> None:
    metrics = [InceptionScore(EXTRACTOR, 1), Curve(InceptionScore(EXTRACTOR, 1), [0, 1, 4])]
    whole, slope = score_panoramas(rows, metrics, GEOMETRY, STEPS).figures
    swapped = [row._replace(generated=row.reference) for row in rows]
    expected = _at_once(InceptionScore(EXTRACTOR, 1), swapped)
    assert whole.real is not None
    assert whole.real.value == pytest.approx(next(iter(expected.values())), rel=1e-6)
    points = _at_once(Curve(InceptionScore(EXTRACTOR, 1), [0, 1, 4]), swapped)
    assert (slope.key, slope.curve_steps) == ("is.slope", (0, 1, 4))
    # Features are float32 and differ a little with the size of the batch.
    assert slope.real_curve == pytest.approx([value for name, value in points.items() if ".step" in name], rel=1e-6)


def test_a_second_metric_of_a_family_is_keyed_by_its_whole_name(rows: list[Compared]) -> None:
    metrics = [FID(EXTRACTOR), FID(toy_extractor(4))]
    assert [figure.key for figure in score_panoramas(rows, metrics, GEOMETRY, STEPS).figures] == [
        "fid",
        "fid.window.toy_native",
    ]


def test_what_cannot_be_computed_is_a_figure_with_its_reason(rows: list[Compared]) -> None:
    (figure,) = score_panoramas(rows, [KID(EXTRACTOR, 2, 1000)], GEOMETRY, STEPS).figures
    assert (figure.key, figure.estimate) == ("kid", None)
    assert "subset_size must lie in [2, 20]" in figure.reason
    assert figure.as_json()["not_computed"] == figure.reason


def test_the_same_batch_is_cut_once_for_all_curves(rows: list[Compared]) -> None:
    seen: list[torch.Tensor] = []

    class Recording(InceptionScore):
        def update(self, generated: torch.Tensor, *rest: object) -> None:
            seen.append(generated)

    curves = [Curve(Recording(EXTRACTOR, 1), [1, 2]) for _ in range(2)]
    batch = PanoramaBatch(rows[:1], GEOMETRY, STEPS)
    for curve in curves:
        batch.feed(curve)
    assert [seen[0] is seen[2], seen[1] is seen[3], seen[0] is seen[1]] == [True, True, False]
