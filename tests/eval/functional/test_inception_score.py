import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from eval.functional.inception_score import InceptionScore, grouped_score


def _score(logits: torch.Tensor, splits: int = 1, images_a_group: int = 1) -> InceptionScore:
    log_probabilities = logits.double().log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    entropies = (probabilities * log_probabilities).sum(dim=1)
    groups = [part.split(images_a_group) for part in (probabilities, entropies)]
    counts = torch.tensor([len(part) for part in groups[0]], dtype=torch.float64)
    return grouped_score(*(torch.stack([part.sum(dim=0) for part in parts]) for parts in groups), counts, splits)


def _reference_inception_score(logits: torch.Tensor, splits: int) -> tuple[float, float]:
    values = isc_features_to_metric(logits, splits=splits, shuffle=False)
    return values["inception_score_mean"], values["inception_score_std"]


def test_equal_distributions_score_one() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0]).expand(10, 3)
    assert _score(logits).mean == pytest.approx(1.0)


def test_certain_and_even_classes_score_their_number() -> None:
    logits = 1e4 * torch.eye(7).repeat(3, 1)
    assert _score(logits).mean == pytest.approx(7.0)


@pytest.mark.parametrize("splits", [1, 3, 10])
def test_agrees_with_torch_fidelity(splits: int) -> None:
    logits = 3 * torch.randn(101, 24, generator=torch.Generator().manual_seed(0))
    score = _score(logits, splits)
    assert (score.mean, score.std) == pytest.approx(_reference_inception_score(logits, splits), rel=1e-12)


def test_sums_of_parts_give_the_score_of_the_whole() -> None:
    logits = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
    assert _score(logits, images_a_group=7).mean == pytest.approx(_score(logits).mean)


@pytest.mark.parametrize("splits", [0, 5])
def test_more_splits_than_images_are_refused(splits: int) -> None:
    with pytest.raises(ValueError, match=r"splits must lie in \[1, 4\]"):
        _score(torch.zeros(4, 2), splits)
