import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, CLIPTokenizer

from lit_outpaint.models.language import CausalLanguage, ClipChunks
from lit_outpaint.models.language_context import LanguageContext
from lit_outpaint.models.language_encoders import block_tokenizer
from lit_outpaint.training.entity_guidance import EntityGuidance, EntityLossConfig, tokens_with_rows

MODELS = Path("models/scapes")
CAPTION = "a red barn and a blue pine tree on the left"


def test_layers_are_chosen_by_parts_of_their_names() -> None:
    layers = ["down_blocks.0.attn2", "mid_block.attn2", "up_blocks.1.attn2"]
    assert EntityLossConfig().chosen(layers) == layers
    assert EntityLossConfig(layers=("up_blocks", "mid")).chosen(layers) == layers[1:]
    with pytest.raises(ValueError, match=r"entity_loss\.layers"):
        EntityLossConfig(layers=("side",)).chosen(layers)


def test_what_hides_the_maps_is_refused_while_the_loss_is_on() -> None:
    EntityLossConfig().check_possible(compiled=True, checkpointed=True)
    EntityLossConfig(weight=0.1).check_possible(compiled=False, checkpointed=False)
    with pytest.raises(ValueError, match="compile"):
        EntityLossConfig(weight=0.1).check_possible(compiled=True, checkpointed=False)
    with pytest.raises(ValueError, match="gradient_checkpointing"):
        EntityLossConfig(weight=0.1).check_possible(compiled=False, checkpointed=True)
    with pytest.raises(ValueError, match="weight"):
        EntityLossConfig(weight=-1.0)


def test_rows_are_those_of_the_words_behind_the_prefix() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "lm")
    guidance = EntityGuidance(EntityLossConfig(weight=1.0), None, tokenizer, prefix="pre ", length=64)
    tokens = tokenizer("pre " + CAPTION).input_ids
    words = [
        [tokenizer.decode([tokens[i - 77] for i in rows]).strip() for rows in pair]
        for pair in guidance.rows(CAPTION, 77)
    ]
    assert words == [["red", "barn"], ["blue", "pine tree"]]


def test_words_behind_the_length_have_no_rows() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODELS, subfolder="tokenizer")
    rows = EntityGuidance(EntityLossConfig(weight=1.0), None, tokenizer, prefix="", length=5).rows(CAPTION)
    assert rows == [([2], [3]), ([], [])]
    # "barn" would be the fourth row, which holds the end mark of a caption that is cut there.
    cut = EntityGuidance(EntityLossConfig(weight=1.0), None, tokenizer, prefix="", length=4).rows(CAPTION)
    assert cut == [([2], []), ([], [])]


def test_words_that_the_conditioning_leaves_out_have_no_rows() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODELS, subfolder="tokenizer")
    rows = EntityGuidance(EntityLossConfig(weight=1.0), None, tokenizer, prefix="", length=77, rows=4).rows(CAPTION)
    assert rows == [([2], [3]), ([], [])]


@pytest.mark.parametrize(("adapter", "length"), [("clip_asks", 77), ("resampler", 64)])
def test_rows_that_are_no_tokens_are_refused_however_many_they_are(adapter: str, length: int) -> None:
    dims = {"text_dim": 16, "language_length": length, "language_dim": 8, "heads": 2}
    with pytest.raises(ValueError, match="choose adapter cam, concat or transformer"):
        tokens_with_rows(LanguageContext(adapter=adapter, **dims))
    assert tokens_with_rows(LanguageContext(adapter="cam", max_length=12, **dims)) == 12


def test_a_pair_that_looks_to_one_place_costs_less() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODELS, subfolder="tokenizer")
    guidance = EntityGuidance(EntityLossConfig(weight=1.0, block="text"), None, tokenizer, prefix="", length=77)
    together = torch.rand(2, 2, 16, 80, generator=torch.Generator().manual_seed(0))
    apart = together.clone()
    together[..., 3 + 2] = together[..., 3 + 3]
    (first, _) = guidance([CAPTION, "a meadow"], {"a": together}, {"text": slice(3, 80)}).tolist()
    (other, none) = guidance([CAPTION, "a meadow"], {"a": apart}, {"text": slice(3, 80)}).tolist()
    assert first < other
    assert none == 0
    with pytest.raises(ValueError, match="block text needs a row for each of 77 tokens"):
        guidance([CAPTION], {"a": apart}, {"text": slice(0, 64)})


def test_the_cross_attention_layers_that_count_are_asked_for_their_maps() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODELS, subfolder="tokenizer")
    config = EntityLossConfig(weight=1.0, layers=("up",))
    guidance = EntityGuidance(config, None, tokenizer, prefix="", length=77)
    names = ["up.0.attn1.processor", "up.0.attn2.processor", "down.0.attn2.processor"]
    assert guidance.asked(names) == {"up.0.attn2": None}


def test_rows_of_a_causal_model_are_those_of_its_encoder_though_its_tokenizer_puts_marks(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "lm", tmp_path / "lm")
    marked = json.loads((tmp_path / "lm" / "tokenizer.json").read_text())
    begin = {"SpecialToken": {"id": "<|user|>", "type_id": 0}}
    number = next(token["id"] for token in marked["added_tokens"] if token["content"] == "<|user|>")
    text = {"Sequence": {"id": "A", "type_id": 0}}
    special = {"<|user|>": {"id": "<|user|>", "ids": [number], "tokens": ["<|user|>"]}}
    marked["post_processor"] = {
        "type": "TemplateProcessing", "single": [begin, text], "pair": [begin, text, text], "special_tokens": special,
    }  # fmt: skip
    (tmp_path / "lm" / "tokenizer.json").write_text(json.dumps(marked))
    language = CausalLanguage(path=str(tmp_path / "lm"), length=64)
    assert AutoTokenizer.from_pretrained(language.path)(CAPTION).input_ids[0] == number
    found = EntityGuidance(EntityLossConfig(weight=1.0), None, *block_tokenizer("language", str(MODELS), language))
    plain = EntityGuidance(
        EntityLossConfig(weight=1.0), None, AutoTokenizer.from_pretrained(MODELS / "lm"), prefix="", length=64
    )
    assert found.rows(CAPTION) == plain.rows(CAPTION)


def test_chunks_of_clip_have_no_row_for_each_token() -> None:
    with pytest.raises(ValueError, match="choose block text"):
        block_tokenizer("language", str(MODELS), ClipChunks(path=str(MODELS)))
