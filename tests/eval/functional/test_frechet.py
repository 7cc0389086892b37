import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from eval.functional.frechet import Moments, frechet_distance, moments


def _features(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) * (1 + seed)


@pytest.mark.parametrize(("count", "width"), [(200, 8), (20, 50)])
def test_agrees_with_torch_fidelity_even_when_the_covariance_is_singular(count: int, width: int) -> None:
    one, other = _features(count, width, 0), _features(count + 10, width, 1)
    expected = fid_statistics_to_metric(
        fid_features_to_statistics(one), fid_features_to_statistics(other), verbose=False
    )
    found = frechet_distance(moments(one), moments(other))
    assert found == pytest.approx(expected["frechet_inception_distance"], rel=1e-4)


def test_distance_of_shifted_points_is_the_squared_shift() -> None:
    features = _features(100, 5, 0)
    assert frechet_distance(moments(features), moments(features + 2)) == pytest.approx(5 * 4, rel=1e-6)
    assert frechet_distance(moments(features), moments(features)) == pytest.approx(0, abs=1e-5)


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    features = _features(30, 4, 1)
    parts = [moments(part) for part in features.split(7)]
    total = Moments(*(torch.stack(list(what)).sum(dim=0) for what in zip(*parts, strict=True)))
    other = moments(_features(40, 4, 2))
    assert frechet_distance(total, other) == pytest.approx(frechet_distance(moments(features), other), rel=1e-9)


def test_one_picture_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least 2 pictures"):
        frechet_distance(moments(_features(1, 3, 0)), moments(_features(9, 3, 0)))
