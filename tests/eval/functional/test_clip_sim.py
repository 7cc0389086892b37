import pytest
import torch

from eval.functional.clip_sim import clip_sim, retrieval_top1


def test_similarity_is_the_cosine_whatever_the_lengths() -> None:
    images = torch.tensor([[1.0, 0.0], [3.0, 3.0], [0.0, -2.0]])
    texts = torch.tensor([[5.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert clip_sim(images, texts).tolist() == pytest.approx([1.0, 0.5**0.5, -1.0])


def test_unpaired_features_are_refused() -> None:
    with pytest.raises(ValueError, match="pair up"):
        clip_sim(torch.ones(3, 2), torch.ones(1, 2))


def test_own_captions_are_found_and_shuffled_ones_are_not() -> None:
    features = torch.eye(8)
    assert retrieval_top1(features, features).tolist() == [1.0] * 8
    assert retrieval_top1(features, features.roll(1, dims=0)).tolist() == [0.0] * 8


def test_ties_are_misses() -> None:
    assert retrieval_top1(torch.ones(4, 2), torch.ones(4, 2)).sum() == 0
