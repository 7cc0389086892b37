from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image

from eval.clip import EvaluationClip
from eval.extractors import to_levels
from eval.metrics import ClipSim, MeanClipScore
from eval.testing import computed_on_ranks, toy_pictures, toy_samples
from lit_outpaint.protocols import ImageMetric, NotComputable

CAPTIONS = ["a meadow with a red barn", "a lake", "a red barn " * 30, "a desert at night"]


@pytest.fixture(scope="module")
def clip(family: Path) -> EvaluationClip:
    return EvaluationClip(family / "eval_clip")


def _reference_cosines(directory: Path, pictures: torch.Tensor, captions: list[str]) -> torch.Tensor:
    name = f"local-dir:{directory}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    model.eval()
    images = [transform(Image.fromarray(levels.permute(1, 2, 0).numpy())) for levels in to_levels(pictures)]
    with torch.no_grad():
        image_features = model.encode_image(torch.stack(images))
        text_features = model.encode_text(open_clip.get_tokenizer(name)(captions))
    return torch.nn.functional.cosine_similarity(image_features, text_features)


def test_agrees_with_plain_open_clip(clip: EvaluationClip, family: Path) -> None:
    pictures, real = toy_pictures(3, 64, 64), toy_pictures(3, 64, 64, seed=1)
    metric = ClipSim(clip, "window", "global")
    metric.update(pictures, real, CAPTIONS[:2] + CAPTIONS[3:], toy_samples(3))
    expected = [
        float(_reference_cosines(family / "eval_clip", part, CAPTIONS[:2] + CAPTIONS[3:]).mean())
        for part in (pictures, real)
    ]
    scores = metric.compute()
    assert list(scores) == [
        "clip_sim.window-global.eval_clip.n3",
        "clip_sim.window-global.eval_clip.real-n3",
    ]
    assert list(scores.values()) == pytest.approx(expected, abs=1e-5)


def test_long_captions_are_counted_per_picture(clip: EvaluationClip) -> None:
    metric = ClipSim(clip)
    pictures = toy_pictures(4, 32, 32)
    metric.update(pictures, pictures[:0], CAPTIONS, toy_samples(4))
    metric.update(pictures[:1], pictures[:0], CAPTIONS[2:3], toy_samples(1))
    assert metric.compute()["num_captions_in_chunks.window-local.eval_clip"] == 2


def test_ranks_agree_with_one_process(clip: EvaluationClip) -> None:
    pictures, samples = toy_pictures(4, 32, 96), toy_samples(4)

    def make() -> list[ImageMetric]:
        return [ClipSim(clip, "panorama", "global"), MeanClipScore(clip, num_crops=2)]

    def feed(metric: ImageMetric, rank: int, world_size: int) -> None:
        for row in range(rank, 4, world_size):
            part = slice(row, row + 1)
            metric.update(pictures[part], pictures[part], CAPTIONS[part], samples[part])

    for metric, found in zip(make(), computed_on_ranks(make, feed, 2), strict=True):
        feed(metric, 0, 1)
        assert found == {name: pytest.approx(value, rel=1e-6) for name, value in metric.compute().items()}


def test_a_grid_of_one_crop_is_the_scaled_similarity(clip: EvaluationClip) -> None:
    pictures = toy_pictures(3, 32, 32)
    scores = []
    for metric in (ClipSim(clip, "panorama", "global"), MeanClipScore(clip, crops="grid")):
        for row in range(3):
            metric.update(pictures[row : row + 1], pictures[:0], ["a lake"], toy_samples(1))
        scores.append(next(iter(metric.compute().values())))
    cosines = _per_picture(clip, pictures)
    assert scores[0] == pytest.approx(float(cosines.mean()), abs=1e-6)
    assert scores[1] == pytest.approx(100 * float(cosines.clamp_min(0).mean()), abs=1e-4)


def _per_picture(clip: EvaluationClip, pictures: torch.Tensor) -> torch.Tensor:
    return clip.encode_pixel_values(pictures) @ clip.encode_texts(["a lake"])[0]


def test_random_crops_hang_on_the_key_alone(clip: EvaluationClip) -> None:
    metric = MeanClipScore(clip, num_crops=3)
    one, other = toy_samples(2)
    places = metric.places(32, 96, 32, one)
    assert places == metric.places(32, 96, 32, one)
    assert places != metric.places(32, 96, 32, other)
    assert all(place.top == 0 and 0 <= place.left <= 64 for place in places)


@pytest.mark.parametrize("make", [lambda clip: ClipSim(clip), lambda clip: MeanClipScore(clip)])
def test_nothing_is_told_as_such(clip: EvaluationClip, make: type) -> None:
    with pytest.raises(NotComputable, match="there are no"):
        make(clip).compute()


def test_panoramas_have_no_local_caption(clip: EvaluationClip) -> None:
    with pytest.raises(ValueError, match="no local caption"):
        ClipSim(clip, "panorama")
