import pytest
import torch

from eval.extractors import FeatureExtractor
from eval.metrics import FID, KID, InceptionScore, PrecisionRecall
from eval.testing import computed_on_ranks, toy_extractor, toy_pictures, toy_samples
from lit_outpaint.protocols import ImageMetric, NotComputable

COUNT = 24
EXTRACTOR = toy_extractor()


def _metrics() -> list[ImageMetric]:
    return [
        InceptionScore(EXTRACTOR, splits=3),
        FID(EXTRACTOR),
        KID(EXTRACTOR, subsets=5, subset_size=8),
        KID(EXTRACTOR, subsets=5, subset_size=8, max_samples=10),
        PrecisionRecall(EXTRACTOR, max_samples=16),
    ]


def _feed(metric: ImageMetric, rank: int, world_size: int) -> None:
    generated, real, samples = toy_pictures(COUNT), toy_pictures(COUNT, seed=1), toy_samples(COUNT)
    # A third rank gets nothing, the others take turns.
    mine = [index for index in range(COUNT) if index % min(world_size, 2) == rank]
    for start in range(0, len(mine), 5):
        part = mine[start : start + 5]
        metric.update(generated[part], real[part], [""] * len(part), [samples[index] for index in part])


def _alone(metric: ImageMetric) -> dict[str, float]:
    _feed(metric, 0, 1)
    return metric.compute()


@pytest.fixture(scope="module")
def alone() -> list[dict[str, float]]:
    return [_alone(metric) for metric in _metrics()]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_agree_with_one_process_even_when_one_has_nothing(alone: list[dict[str, float]], world_size: int) -> None:
    for expected, found in zip(alone, computed_on_ranks(_metrics, _feed, world_size), strict=True):
        assert isinstance(found, dict)
        assert found == {name: pytest.approx(value, rel=1e-6, abs=1e-9) for name, value in expected.items()}


def test_all_ranks_say_alike_that_nothing_can_be_computed() -> None:
    answers = computed_on_ranks(_metrics, lambda *_: None, 2)
    assert len(answers) == len(_metrics())
    assert all(isinstance(answer, str) and "cannot be computed" in answer for answer in answers)


def test_names_say_the_definition(alone: list[dict[str, float]]) -> None:
    names = [name for scores in alone for name in scores]
    assert names[:3] == [
        "is.window.toy_native.3splits.n24",
        "is_std.window.toy_native.3splits.n24",
        "fid.window.toy_native.n24-24",
    ]
    assert "kid.window.toy_native.5x8.n10-10" in names
    assert "recall.window.toy_native.k3.n16-16" in names


@pytest.mark.parametrize("make", [lambda: FID(EXTRACTOR), lambda: KID(EXTRACTOR, subsets=9, subset_size=20)])
def test_a_set_is_near_itself_and_far_from_another(make: type) -> None:
    pictures, samples = toy_pictures(COUNT), toy_samples(COUNT)
    scores = []
    for other in (pictures, toy_pictures(COUNT, seed=1) * 0.5):
        metric = make()
        metric.update(pictures, other, [""] * COUNT, samples)
        scores.append(next(iter(metric.compute().values())))
    # KID is unbiased, so that it falls below 0 for a set and itself.
    assert scores[0] < 1e-3
    assert scores[1] > 1


def test_the_same_set_has_a_distance_of_zero_and_full_precision() -> None:
    pictures, samples = toy_pictures(COUNT), toy_samples(COUNT)
    fid, shares = FID(EXTRACTOR), PrecisionRecall(EXTRACTOR)
    for metric in (fid, shares):
        metric.update(pictures, pictures, [""] * COUNT, samples)
    assert list(fid.compute().values()) == [pytest.approx(0, abs=1e-4)]
    assert list(shares.compute().values()) == [1.0, 1.0]


def test_order_of_arrival_and_batches_do_not_matter() -> None:
    pictures, real, samples = toy_pictures(COUNT), toy_pictures(COUNT, seed=1), toy_samples(COUNT)
    for one, other in zip(_metrics(), _metrics(), strict=True):
        one.update(pictures, real, [""] * COUNT, samples)
        for index in torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)).tolist():
            part = slice(index, index + 1)
            other.update(pictures[part], real[part], [""], samples[part])
        assert one.compute() == pytest.approx(other.compute(), rel=1e-6)


def test_memory_is_bounded_by_the_pool() -> None:
    metric = KID(EXTRACTOR, subsets=1, subset_size=4, max_samples=8)
    for start in range(20):
        metric.update(toy_pictures(6, seed=start), toy_pictures(6, seed=start), [""] * 6, toy_samples(6, f"{start}-"))
        assert sum(len(part) for part in metric.generated_rows) <= 16
    assert next(iter(metric.compute())).endswith("n8-8")


def test_stored_reference_takes_the_place_of_the_pictures() -> None:
    pictures, real, samples = toy_pictures(COUNT), toy_pictures(COUNT, seed=1), toy_samples(COUNT)
    for whole, stored, again in zip(_metrics()[1:], _metrics()[1:], _metrics()[1:], strict=True):
        whole.update(pictures, real, [""] * COUNT, samples)
        stored.update(pictures[:0], real, [""] * COUNT, samples)
        again.load_reference_state(stored.reference_state())
        again.update(pictures, real[:0], [""] * COUNT, samples)
        assert again.compute() == whole.compute()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (InceptionScore(EXTRACTOR, splits=5), r"splits must lie in \[1, 3\]"),
        (FID(EXTRACTOR), "at least 2 pictures"),
        (KID(EXTRACTOR), r"subset_size must lie in \[2, 0\]"),
        (PrecisionRecall(EXTRACTOR), "neighbourhood"),
    ],
)
def test_too_few_pictures_are_told(metric: ImageMetric, message: str) -> None:
    pictures = toy_pictures(3)
    metric.update(pictures, pictures[:0], [""] * 3, toy_samples(3))
    with pytest.raises(NotComputable, match=message):
        metric.compute()


def test_a_classifier_is_asked_for() -> None:
    with pytest.raises(ValueError, match="toy_native is none"):
        InceptionScore(toy_extractor(classifier=False))
    assert isinstance(EXTRACTOR, FeatureExtractor)
    assert isinstance(FID(EXTRACTOR), ImageMetric)
