import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, CLIPTextModel, T5Config, T5EncoderModel

from lit_outpaint.models.language import CausalLanguage, ClipChunks, LanguageConfig, T5Language
from lit_outpaint.models.language_encoders import LanguageEncoder, from_rankgen

MODELS = Path("models/scapes")
CAPTIONS = ["a red barn", "", "a lake with two blue boats and a lighthouse under a cloudy sky " * 30]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 encoder with random weights in its own directory."""
    folder = tmp_path_factory.mktemp("models") / "toy-t5"
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "lm", padding_side="right")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(tokenizer), d_model=24, d_kv=8, d_ff=32, num_heads=3, num_layers=2, pad_token_id=0)
    T5EncoderModel(config).save_pretrained(folder)
    return folder


def _configs(t5: Path) -> list[LanguageConfig]:
    shared = {"length": 16, "prefix": "pre "}
    return [
        T5Language(path=str(t5), **shared),
        CausalLanguage(path=str(MODELS / "lm"), **shared),
        ClipChunks(path=str(MODELS), length=154),
    ]


def test_features_have_a_fixed_length_and_the_width_that_the_configuration_says(t5: Path) -> None:
    for config in _configs(t5):
        encoder = config.build()
        features = encoder.encode(CAPTIONS)
        assert features.shape == (3, config.length, config.dim)
        assert features.dtype == torch.float32
        assert not features.requires_grad
        assert torch.isfinite(features).all()


def test_a_caption_does_not_depend_on_its_batch(t5: Path) -> None:
    for config in _configs(t5):
        encoder = config.build()
        torch.testing.assert_close(encoder.encode(CAPTIONS)[:1], encoder.encode(CAPTIONS[:1]), atol=1e-4, rtol=1e-4)


def test_padding_is_kept_or_zeroed(t5: Path) -> None:
    for config in _configs(t5):
        kept = config.build().encode(CAPTIONS)
        zeroed = replace(config, padding="zero").build().encode(CAPTIONS)
        counts = zeroed.any(dim=-1)
        assert kept.any(dim=-1).all()
        assert counts[2].all()
        assert not counts[0].all()
        # Padding stands behind, in T5 and causal models in one block.
        torch.testing.assert_close(kept[counts], zeroed[counts])


def test_t5_is_the_stock_encoder_on_the_prefixed_text(t5: Path) -> None:
    encoder = T5Language(path=str(t5), length=64, prefix="pre ").build()
    tokens = AutoTokenizer.from_pretrained(t5)(["pre a red barn"], return_tensors="pt")
    expected = T5EncoderModel.from_pretrained(t5)(**tokens).last_hidden_state
    torch.testing.assert_close(encoder.encode(["a red barn"])[:, : expected.shape[1]], expected, atol=1e-5, rtol=1e-4)


def test_a_causal_model_gives_the_states_that_the_rule_names() -> None:
    path = str(MODELS / "lm")
    tokens = AutoTokenizer.from_pretrained(path)(["a red barn"], return_tensors="pt").input_ids
    model = AutoModel.from_pretrained(path, dtype=torch.float32)
    states = model(tokens, output_hidden_states=True).hidden_states
    for layer in (0, 2, -1):
        encoder = CausalLanguage(path=path, length=16, layers="one", layer=layer).build()
        found = encoder.encode(["a red barn"])[:, : tokens.shape[1]]
        torch.testing.assert_close(found, states[layer], atol=1e-4, rtol=1e-3)
    assert CausalLanguage(path=path, layers="one", layer=2).rule == "one:2"


def test_a_begin_mark_is_put_first_and_dropped(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "lm", bos_token="<|user|>")
    config = CausalLanguage(path=str(MODELS / "lm"), length=16, layers="last")
    model = config.load()
    marked = LanguageEncoder(config, tokenizer, model).encode(["a red barn"])
    ids = AutoTokenizer.from_pretrained(MODELS / "lm")(["<|user|>a red barn"], return_tensors="pt").input_ids
    expected = model(ids).last_hidden_state[:, 1:]
    torch.testing.assert_close(marked[:, : expected.shape[1]], expected, atol=1e-4, rtol=1e-3)


def test_the_first_chunk_of_clip_is_clip() -> None:
    encoder = ClipChunks(path=str(MODELS), length=154).build()
    stock = CLIPTextModel.from_pretrained(MODELS, subfolder="text_encoder", dtype=torch.float32)
    for caption in CAPTIONS:
        tokens = encoder.tokenizer(
            [caption], padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        ).input_ids
        expected = stock(tokens).last_hidden_state
        torch.testing.assert_close(encoder.encode([caption])[:, :77], expected, atol=1e-4, rtol=1e-3)


def test_truncation_is_counted(t5: Path) -> None:
    for config in _configs(t5):
        assert config.build().count_truncated(CAPTIONS) == 1


def test_the_card_names_what_features_depend_on_and_no_place(t5: Path) -> None:
    cards = [config.card() for config in _configs(t5)]
    assert [card["encoder"] for card in cards] == ["T5Language:toy-t5", "CausalLanguage:lm", "ClipChunks:scapes"]
    assert cards[1]["layers"] == "norm_mean"
    assert cards[0]["prefix"] == "pre "
    assert not any(str(t5) in value for card in cards for value in card.values())
    assert len({card["revision"] for card in cards}) == 3


def test_a_released_rankgen_checkpoint_becomes_an_encoder(t5: Path) -> None:
    model = T5EncoderModel.from_pretrained(t5)
    released = {f"t5_encoder.{name}": weight for name, weight in model.state_dict().items()}
    released["projection.weight"] = torch.zeros(24, 24)
    assert from_rankgen(released).keys() == model.state_dict().keys()
    with pytest.raises(ValueError, match="RankGen"):
        from_rankgen(model.state_dict())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        T5Language(path="x", length=0)
    with pytest.raises(ValueError, match="multiple of 77"):
        ClipChunks(path="x", length=100)
    with pytest.raises(FileNotFoundError, match="no/such/place"):
        _ = T5Language(path="no/such/place").dim


def test_a_model_of_another_kind_is_refused(t5: Path) -> None:
    for config in (T5Language(path=str(MODELS / "lm")), CausalLanguage(path=str(t5))):
        with pytest.raises(ValueError, match="cannot be loaded: it lacks weights"):
            config.build()


def test_weights_that_are_no_safetensors_are_refused_in_one_line(t5: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(t5, tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    torch.save(T5EncoderModel.from_pretrained(t5).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot be loaded") as refused:
        T5Language(path=str(folder)).build()
    assert "\n" not in str(refused.value)
    assert "safetensors" in str(refused.value)


def test_a_model_that_is_not_there_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        T5Language(path=str(tmp_path / "none")).build()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="cannot be loaded"):
        _ = T5Language(path=str(tmp_path / "empty")).dim


def test_the_revision_is_that_of_weights_and_vocabulary(t5: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(t5, tmp_path / "other"))
    before = T5Language(path=str(folder)).revision()
    assert before == T5Language(path=str(t5)).revision()
    (folder / "spiece.model").write_bytes(b"words")
    assert T5Language(path=str(folder)).revision() != before
