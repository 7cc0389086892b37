import random
from itertools import islice

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from data_prep.scapes import train_lm
from data_prep.scapes.lm_corpus import annotated
from data_prep.scapes.lm_model import build_tokenizer, chat_text, fixed_phrases, new_model
from data_prep.scapes.lm_tasks import TASKS, Example, Teacher
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.training.muon import hidden_and_other


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(annotated(300))


@pytest.fixture(scope="module")
def made(teacher: Teacher) -> list[Example]:
    return [teacher.example(TASKS[i % 3], random.Random(i)) for i in range(90)]


@pytest.fixture(scope="module")
def tokenizer(made: list[Example], tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = (message.text for example in made for message in example.messages)
    build_tokenizer(texts, fixed_phrases(f"{task}.v1" for task in TASKS)).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def batches(teacher: Teacher, tokenizer: PreTrainedTokenizerFast) -> train_lm.Batches:
    return train_lm.Batches(teacher, tokenizer, seed=0, tokens_per_batch=500)


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


def test_instructions_are_one_token_and_captions_are_not(
    tokenizer: PreTrainedTokenizerFast, made: list[Example]
) -> None:
    system, user = load_prompt("imagine.v1").fill(caption="a barn", n=3)
    assert len(tokenizer.tokenize(system.text)) == 1
    pieces = tokenizer.tokenize(user.text)
    assert [tokenizer.convert_tokens_to_string([piece]) for piece in pieces[1:-3]] == ['"', "a", " barn", '"']
    assert pieces[-2] == "3"
    assert tokenizer.tokenize('{"captions": ["a", "a"]}') == ['{"captions": ["', "a", '", "', "a", '"]}']


def test_batches_are_full_the_same_in_every_run_and_short_at_first(
    batches: train_lm.Batches, teacher: Teacher, tokenizer: PreTrainedTokenizerFast
) -> None:
    again = train_lm.Batches(teacher, tokenizer, seed=0, tokens_per_batch=500)
    first = [batches(step) for step in range(train_lm.POOL)]
    assert all(torch.equal(again(step)[0], tokens) for step, (tokens, _) in enumerate(first))
    later = [batches(100 * train_lm.POOL + step) for step in range(train_lm.POOL)]
    for pool in (first, later):
        assert sum((weights > 0).any(1).sum().item() for _, weights in pool) == sum(len(tokens) for tokens, _ in pool)
        assert 500 <= sum((tokens != tokenizer.pad_token_id).sum().item() for tokens, _ in pool) / len(pool) < 530
    assert len(torch.cat([tokens[:, 0] for tokens, _ in first])) > len(torch.cat([tokens[:, 0] for tokens, _ in later]))


def test_answers_weigh_most_and_padding_nothing(
    batches: train_lm.Batches, made: list[Example], tokenizer: PreTrainedTokenizerFast
) -> None:
    for example in made[:6]:
        tokens, weights = batches.encoded(example)
        assert tokenizer.decode(tokens[weights >= 1]) == example.answer + tokenizer.eos_token
        heavy = tokenizer.decode(tokens[weights == train_lm.HEAD_WEIGHT])
        head = example.answer.removeprefix('{"caption": ').partition(":")[0]
        assert heavy == ('{"caption": ' + head if example.task == "summarise" else "")
    padded, padded_weights = batches(0)
    assert not padded_weights[padded == tokenizer.pad_token_id].any()


@pytest.mark.slow
def test_one_batch_is_learnt_and_padding_does_not_change_its_loss(
    batches: train_lm.Batches, tokenizer: PreTrainedTokenizerFast
) -> None:
    torch.manual_seed(0)
    model = new_model(tokenizer)
    tokens, weights = (part[:2] for part in batches(0))
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


def test_examples_are_the_same_in_every_run(teacher: Teacher) -> None:
    one, other = (list(islice(train_lm.examples(teacher, 0), 12)) for _ in range(2))
    assert one == other
    assert {example.task for example in one} == set(TASKS)
