"""What the language encoder learns from: captions in, spans and pairs out; and the shape of what is trained."""

import random

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from data_prep.scapes.captions import PLACES
from data_prep.scapes.language_tasks import PREFIX, SUFFIX, captions_of, corrupted, document, near_miss, pair
from data_prep.scapes.paragraphs import paragraph
from data_prep.scapes.train_language_encoder import Batches, LanguageTrainer, build_tokenizer, ranking
from data_prep.scapes.windows import random_place


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    known = [captions_of(index, 0) for index in range(200)]
    return build_tokenizer(text for c in known for text in (*c.short, c.dense, PREFIX, SUFFIX))


def test_a_paragraph_names_everything_in_40_to_140_words() -> None:
    for index in range(150):
        facts = random_place(index, seed=3).facts()
        text = paragraph(facts, index)
        assert 40 <= len(text.split()) <= 140, text
        for thing in facts.objects[:5]:
            assert f"{thing.colour} {thing.kind}" in text.lower() if thing.colour else thing.kind in text.lower()
        for biome, share in facts.biomes.items():
            assert share < 0.2 or any(noun in text.lower() for noun, _ in PLACES[biome])


def test_paragraphs_of_one_window_differ_in_order_and_words() -> None:
    facts = random_place(0, seed=0).facts()
    assert len({paragraph(facts, seed) for seed in range(10)}) == 10
    assert paragraph(facts, 1) == paragraph(facts, 1)


def test_a_near_miss_exchanges_words_and_always_differs() -> None:
    rng = random.Random(0)
    assert near_miss("a red barn and a blue car", rng) == "a blue barn and a red car"
    assert near_miss("a barn on the left and a car on the right", rng) == "a barn on the right and a car on the left"
    for caption in ("a red barn", "a cactus", "just a lake", "two red barns and a red car", "nothing at all"):
        assert near_miss(caption, rng) != caption


def test_what_was_cut_out_can_be_put_back() -> None:
    sentinels = list(range(1000, 1032))
    for seed in range(30):
        tokens = list(np.random.default_rng(seed).integers(0, 900, 5 + 7 * seed))
        source, target = corrupted(tokens, sentinels, np.random.default_rng(seed))
        spans: dict[int, list[int]] = {}
        for token in target:
            if token in sentinels:
                spans[mark := token] = []
            else:
                spans[mark].append(token)
        restored = [each for token in source for each in (spans[token] if token in sentinels else [token])]
        assert restored == tokens
        assert spans[target[-1]] == []
        assert len(source) < len(tokens) + 1


def test_documents_and_pairs_carry_their_prefixes() -> None:
    captions = captions_of(0, 0)
    found = pair(captions, random.Random(0))
    assert found.prefix.startswith(PREFIX)
    assert found.suffix.startswith(SUFFIX)
    assert found.near_miss != found.suffix
    assert document(captions, random.Random(0)).startswith(PREFIX)


def test_the_tokenizer_keeps_any_text_and_knows_words_of_the_world(tokenizer: PreTrainedTokenizerFast) -> None:
    text = 'pre a "red" barn, \u00dcber \u96ea'
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert ids[-1] == tokenizer.eos_token_id == 1
    assert tokenizer.pad_token_id == 0
    assert len(tokenizer.tokenize(" red barn")) == 2


def test_the_right_suffix_ranks_above_others_and_near_misses() -> None:
    vectors, others = torch.eye(8).chunk(2)
    right = ranking(vectors, vectors, others)
    wrong = ranking(vectors, vectors.roll(1, dims=0), vectors)
    assert right["rank"] < 0.01 < 10 < wrong["rank"]
    assert right["near"] == 1
    assert wrong["near"] == 0


def test_a_step_follows_from_its_number_and_every_weight_learns(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    batches = Batches(tokenizer, windows=40, seed=0)
    (source, labels), (prefix, suffix, near) = batches(3)
    again = Batches(tokenizer, windows=40, seed=0)(3)
    assert torch.equal(source, again[0][0])
    assert torch.equal(near, again[1][2])
    model = LanguageTrainer(tokenizer)
    ranked = ranking(model.vectors(prefix[:4]), model.vectors(suffix[:4]), model.vectors(near[:4]))
    (model.denoising(source[:4], labels[:4]) + ranked["rank"]).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    encoder = sum(p.numel() for p in model.t5.encoder.parameters())
    assert 2 * encoder <= 3 * 2**20
