from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from eval.clip import EvaluationClip


@pytest.fixture(scope="module")
def clip(family: Path) -> EvaluationClip:
    return EvaluationClip(family / "eval_clip", batch_size=2)


def _images(count: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def _reference_features(directory: Path, images: np.ndarray, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    name = f"local-dir:{directory}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.no_grad():
        pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
        texts = model.encode_text(open_clip.get_tokenizer(name)(captions), normalize=True)
        return model.encode_image(pixels, normalize=True), texts


def test_features_agree_with_plain_open_clip(clip: EvaluationClip, family: Path) -> None:
    captions = ["a meadow with a red barn", "a lake", "a meadow with a red barn"]
    images, texts = _reference_features(family / "eval_clip", _images(3), captions)
    torch.testing.assert_close(clip.encode_images(_images(3)), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.encode_texts(captions), texts, atol=1e-5, rtol=0)


def test_long_captions_are_counted_and_keep_their_end_token(clip: EvaluationClip) -> None:
    short, long = "a lake", "a meadow with a red barn " * 30
    assert clip.count_truncated([short, long, ""]) == 1
    fitting = [caption for caption in ("x " * count for count in range(20, 40)) if not clip.count_truncated([caption])]
    length = clip.tokenizer.context_length
    assert len(fitting) == length - 2 - 20 + 1
    end = clip.tokenizer([short]).max()
    assert clip.tokenizer([long])[0, length - 1] == end


def test_larger_images_are_resized(clip: EvaluationClip) -> None:
    assert clip.encode_images(_images(1, side=64)).shape == (1, 16)


def test_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"open_clip_config\.json"):
        EvaluationClip(tmp_path)
