import json
from pathlib import Path

import httpx
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from eval.clip import EvaluationClip, find_clip
from lit_outpaint.testing.models import toy_tokenizer


@pytest.fixture(scope="module")
def clip(family: Path) -> EvaluationClip:
    return EvaluationClip(family / "eval_clip", batch_size=2)


def _images(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def _reference_features(directory: Path, images: np.ndarray, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    name = f"local-dir:{directory}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.no_grad():
        pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
        texts = model.encode_text(open_clip.get_tokenizer(name)(captions), normalize=True)
        return model.encode_image(pixels, normalize=True), texts


@pytest.mark.parametrize("side", [32, 64])
def test_features_agree_with_plain_open_clip(clip: EvaluationClip, family: Path, side: int) -> None:
    captions = ["a meadow with a red barn", "a lake", "a meadow with a red barn"]
    levels = _images(3, side, side)
    images, texts = _reference_features(family / "eval_clip", levels, captions)
    torch.testing.assert_close(clip.encode_images(levels), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.encode_texts(captions), texts, atol=1e-5, rtol=0)


def test_pixel_values_give_the_features_of_their_levels(clip: EvaluationClip) -> None:
    levels = _images(2)
    pixel_values = torch.from_numpy(levels).permute(0, 3, 1, 2) / 127.5 - 1
    features = clip.encode_pixel_values(pixel_values)
    assert torch.equal(features, clip.encode_images(levels))
    assert clip.encode_pixel_values(pixel_values) is features


def test_long_captions_are_read_in_chunks_that_fit_and_counted(family: Path) -> None:
    clip = EvaluationClip(family / "eval_clip")
    long = "a meadow with a red barn " * 30
    chunks = clip.chunks(long)
    assert clip.num_chunks(["a lake", long, "", long]) == [1, len(chunks), 1, len(chunks)]
    assert clip.num_chunked == 1
    assert " ".join(chunks).split() == long.split()
    lengths = [len(chunk.split()) for chunk in chunks]
    assert max(lengths) - min(lengths) <= 1
    # Every chunk ends with the end token, which the plain tokeniser would put over the middle of a sentence.
    tokens = clip.tokenizer(chunks, context_length=4 * clip.tokenizer.context_length)
    assert (tokens.argmax(dim=1) < clip.tokenizer.context_length).all()
    expected = torch.nn.functional.normalize(clip.encode_texts(chunks).mean(dim=0), dim=0)
    torch.testing.assert_close(clip.encode_texts([long])[0], expected)


def test_captions_that_just_fit_stay_whole(clip: EvaluationClip) -> None:
    fitting = [count for count in range(20, 40) if len(clip.chunks("x " * count)) == 1]
    # Start and end token take two places.
    assert fitting == list(range(20, clip.tokenizer.context_length - 1))


def test_text_without_spaces_is_read_in_chunks_too(clip: EvaluationClip) -> None:
    whole = "abcdefghij" * 40
    assert "".join("".join(clip.chunks(whole)).split()) == whole
    assert len(clip.chunks(whole)) > 1
    assert clip.encode_texts([whole]).shape == (1, 16)
    said = "a meadow with a red barn under a clear sky"
    assert max(len(piece.split()) for piece in clip.chunks(f"{said} {whole}")) > 1, "words stay together beside it"


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(httpx.Client, "send", lambda *args, **options: asked.append(args))
    with pytest.raises(FileNotFoundError, match="are not to be had"):
        find_clip("ViT-B-32/laion2b_s34b_b79k")
    assert not asked


def test_whole_images_are_squashed(clip: EvaluationClip, family: Path) -> None:
    levels = _images(1, 32, 96)
    squashed = np.array(Image.fromarray(levels[0]).resize((32, 32), Image.BICUBIC))[None]
    torch.testing.assert_close(clip.encode_images(levels), clip.encode_images(squashed), atol=1e-6, rtol=0)


def test_models_are_found_by_name_with_a_file_of_weights(family: Path, tmp_path: Path) -> None:
    config = json.loads((family / "eval_clip" / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"] = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    (tmp_path / "toy-named.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "toy-named.json")
    torch.save(open_clip.create_model("toy-named").state_dict(), tmp_path / "weights.pt")
    clip = find_clip(f"toy-named/{tmp_path / 'weights.pt'}")
    assert clip.name == "toy-named-weights"
    assert clip is find_clip(f"toy-named/{tmp_path / 'weights.pt'}")
    long = "a meadow with a red barn " * 20
    assert [len(clip.tokenizer.encode(chunk)) for chunk in clip.chunks(long)] == [60, 60]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("absent", "is neither"),
        ("ViT-B-32", "is neither"),
        ("ViT-S-32/absent-tag", "not to be had"),
    ],
)
def test_models_that_are_not_there_get_one_line(model: str, message: str) -> None:
    with pytest.raises(FileNotFoundError, match=message) as caught:
        EvaluationClip(model)
    assert "\n" not in str(caught.value)


def test_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"open_clip_config\.json"):
        EvaluationClip(tmp_path)


def test_a_clip_of_transformers_gives_its_own_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = toy_tokenizer()
    text = dict(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2)
    text |= dict(num_attention_heads=2, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    seen = dict(image_size=28, patch_size=14, hidden_size=32, intermediate_size=64, num_hidden_layers=2)
    config = CLIPConfig(text_config=text, vision_config=seen | {"num_attention_heads": 2}, projection_dim=16)
    network = CLIPModel(config).eval()
    for part in (network, tokenizer, CLIPImageProcessor(size={"height": 28, "width": 28})):
        part.save_pretrained(tmp_path / "clip")
    clip = EvaluationClip(tmp_path / "clip")
    captions = ["a lake under a cloudy sky", "a red barn"]
    tokens = tokenizer(captions, padding="max_length", max_length=77, return_tensors="pt").input_ids
    levels = _images(2, 28, 28)
    pixels = torch.from_numpy(levels).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    with torch.no_grad():
        out = network(input_ids=tokens, pixel_values=(pixels - mean) / std)
    torch.testing.assert_close(clip.encode_texts(captions), out.text_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.encode_images(levels), out.image_embeds, atol=1e-5, rtol=0)
    assert clip.num_chunks(["a red barn " * 60])[0] > 1
