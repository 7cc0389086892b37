import random
from itertools import islice

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from data_prep.scapes import train_lm
from data_prep.scapes.lm_corpus import annotated
from data_prep.scapes.lm_model import build_tokenizer, chat_text, new_model
from data_prep.scapes.lm_tasks import TASKS, Example, Teacher
from lit_outpaint.muon import hidden_and_other


@pytest.fixture(scope="module")
def made() -> list[Example]:
    teacher = Teacher(annotated(300))
    return [teacher.example(TASKS[i % 3], random.Random(i)) for i in range(90)]


@pytest.fixture(scope="module")
def tokenizer(made: list[Example], tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(message.text for example in made for message in example.messages).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def arrays(
    made: list[Example], tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> train_lm.TokenArrays:
    return train_lm.TokenArrays(tmp_path_factory.mktemp("arrays") / "examples.npz", tokenizer, iter(made))


def test_any_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    text = 'a "red" barn\n\t\u00dcber \u96ea \U0001f388 {"caption": "x"}'
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_training_reads_conversations_as_the_chat_template_writes_them(
    tokenizer: PreTrainedTokenizerFast, made: list[Example]
) -> None:
    turns = [{"role": message.role, "content": message.text} for message in made[0].messages]
    parts = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    for form in (turns, parts):
        assert tokenizer.apply_chat_template(form, add_generation_prompt=True, tokenize=False) == chat_text(
            made[0].messages
        )
    answered = [*turns, {"role": "assistant", "content": made[0].answer}]
    assert tokenizer.apply_chat_template(answered, tokenize=False) == chat_text(made[0].messages, made[0].answer)


def test_batches_hold_every_example_once_within_the_bound(
    arrays: train_lm.TokenArrays, made: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_lm, "TOKENS_PER_BATCH", 1500)
    batches = arrays.batches(0, seed=0)
    assert sorted(np.concatenate(batches)) == list(range(len(made)))
    assert all(arrays.padded(batch)[0].numel() <= 1500 for batch in batches)


def test_answers_weigh_most_and_padding_nothing(
    arrays: train_lm.TokenArrays, made: list[Example], tokenizer: PreTrainedTokenizerFast
) -> None:
    tokens, weights = arrays.padded(np.array([0, 1]))
    for row in (0, 1):
        assert tokenizer.decode(tokens[row][weights[row] >= 1]) == made[row].answer + tokenizer.eos_token
    assert not weights[tokens == tokenizer.pad_token_id].any()


def test_one_batch_is_learnt_and_padding_does_not_change_its_loss(
    arrays: train_lm.TokenArrays, tokenizer: PreTrainedTokenizerFast
) -> None:
    torch.manual_seed(0)
    model = new_model(tokenizer)
    tokens, weights = arrays.padded(np.array([1, 4]))
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = train_lm.answer_loss(model, tokens, weights)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    wider = [torch.nn.functional.pad(part, (0, 9)) for part in (tokens, weights)]
    same = [train_lm.answer_loss(model, *pair)["loss"].item() for pair in ((tokens, weights), wider)]
    assert same[0] == pytest.approx(same[1], rel=0.02)


def test_the_tied_embedding_is_left_to_adamw(tokenizer: PreTrainedTokenizerFast) -> None:
    model = new_model(tokenizer)
    hidden, other = hidden_and_other(model)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert any(weight is model.lm_head.weight for weight in other)
    assert len(hidden) == 7 * model.config.num_hidden_layers


def test_examples_are_the_same_in_every_run() -> None:
    one, other = (list(islice(train_lm.examples(200, 0), 12)) for _ in range(2))
    assert one == other
    assert {example.task for example in one} == set(TASKS)
