"""LocalChat on real transformers models at toy size."""

import json
import pickle
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_outpaint.captions.answers import CaptionAnswer
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.chat import local_chat
from lit_outpaint.chat.local_chat import LocalChat, _RowGumbel
from lit_outpaint.chat.requests import ChatError, ChatModel, ChatReply, ChatRequest, Message
from lit_outpaint.testing.chat import build_toy_chat, build_toy_vision_chat

SCHEMA = CaptionAnswer.model_json_schema()


@pytest.fixture(scope="module")
def toy_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_chat(tmp_path_factory.mktemp("chat") / "toy")


def question(number: int, max_tokens: int = 24) -> ChatRequest:
    captions = [f"a place with {number} trees"] * (1 + number % 3)
    turns = load_prompt("summarise.v1").fill(captions=captions)
    return ChatRequest(messages=turns, schema=SCHEMA, max_tokens=max_tokens)


def ask_together(chat: LocalChat, requests: list[ChatRequest]) -> list[ChatReply]:
    with ThreadPoolExecutor(chat.concurrency) as pool:
        return list(pool.map(chat.reply, requests))


def _reference_greedy(path: Path, request: ChatRequest) -> str:
    """One question through transformers' own generate, without padding."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path)
    turns = [{"role": turn.role, "content": turn.text} for turn in request.messages]
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    tokens = model.generate(**inputs, max_new_tokens=request.max_tokens, do_sample=False)
    return tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_greedy_answers_are_those_of_transformers_whatever_batch_they_rode_in(toy_chat: Path) -> None:
    chat = LocalChat(str(toy_chat), batch_size=4, temperature=0.0)
    assert isinstance(chat, ChatModel)
    assert (chat.name, chat.concurrency, chat.sees) == ("local:toy", 4, False)
    requests = [question(number, max_tokens=12 + number) for number in range(8)]
    together = ask_together(chat, requests)
    alone = [chat.reply(request) for request in requests]
    assert together == alone
    assert [reply.text for reply in alone[:3]] == [_reference_greedy(toy_chat, request) for request in requests[:3]]
    assert len({reply.text for reply in alone}) > 4
    for reply, request in zip(alone, requests, strict=True):
        assert 0 < reply.completion_tokens <= request.max_tokens
        assert reply.prompt_tokens > 50


def test_sampled_answers_depend_on_the_seed_and_not_on_the_batch(toy_chat: Path) -> None:
    requests = [question(number) for number in range(6)]
    chat = LocalChat(str(toy_chat), batch_size=6, temperature=1.0, seed=3)
    together = ask_together(chat, requests)
    assert [chat.reply(request) for request in requests] == together
    other = LocalChat(str(toy_chat), temperature=1.0, seed=4)
    assert other.reply(requests[0]) != together[0]
    assert chat.parameters != other.parameters


def test_another_draw_of_a_question_has_another_answer_and_the_first_that_of_the_seed(toy_chat: Path) -> None:
    chat, later = (LocalChat(str(toy_chat), temperature=1.0, seed=seed) for seed in (3, 5))
    again = replace(question(0), draw=2)
    assert chat.reply(again) != chat.reply(question(0))
    assert chat.reply(again).text == later.reply(question(0)).text


def test_the_length_of_a_question_is_told_without_the_model(toy_chat: Path) -> None:
    chat = LocalChat(str(toy_chat))
    assert chat.count_prompt(question(1)) == LocalChat(str(toy_chat)).reply(question(1)).prompt_tokens
    assert chat._model is None


def test_half_precision_is_for_large_models_on_a_cpu_that_computes_in_it(
    toy_chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dtype(least_bytes: int, computes: bool) -> torch.dtype:
        monkeypatch.setattr(local_chat, "_MIN_BFLOAT16_BYTES", least_bytes)
        monkeypatch.setattr(local_chat, "computes_bfloat16", lambda: computes)
        return LocalChat(str(toy_chat), device="cpu")._loaded().model.dtype

    assert dtype(1, True) == torch.bfloat16
    assert dtype(1, False) == dtype(1 << 40, True) == torch.float32


def test_gumbel_noise_samples_the_softmax() -> None:
    logits, temperature = torch.tensor([[0.0, 1.0, 2.0]]), 1.5
    draw = _RowGumbel([12345], temperature)
    picks = Counter(int(draw(torch.zeros(1, 1), logits).argmax()) for _ in range(4000))
    expected = torch.softmax(logits[0] / temperature, 0)
    for token, share in enumerate(expected.tolist()):
        # Four standard deviations of a binomial share.
        assert abs(picks[token] / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5


def test_parameters_tell_weights_apart_and_know_a_copy(toy_chat: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(toy_chat, tmp_path / "other_name")
    other = build_toy_chat(tmp_path / "toy", seed=1)
    mine, same, different = (LocalChat(str(path)).parameters for path in (toy_chat, copy, other))
    assert mine == same != different
    assert json.loads(json.dumps(mine)) == mine
    assert "seed" in mine
    assert "seed" not in LocalChat(str(toy_chat), temperature=0.0).parameters  # Nothing is drawn.


def test_a_model_without_a_system_turn_is_told_it_all_in_the_users(tmp_path: Path) -> None:
    chat = LocalChat(str(build_toy_chat(tmp_path / "plain", system_turn=False)))
    reply = chat.reply(question(1))
    assert reply.prompt_tokens > 50


def test_a_question_that_does_not_fit_is_refused_and_its_neighbours_are_answered(tmp_path: Path) -> None:
    chat = LocalChat(str(build_toy_chat(tmp_path / "short", positions=700)), batch_size=3, max_wait_ms=500.0)
    turns = load_prompt("summarise.v1").fill(captions=["a tree"] * 200)
    long = ChatRequest(messages=turns, schema=SCHEMA)
    with ThreadPoolExecutor(3) as pool:
        first, second, third = (pool.submit(chat.reply, request) for request in (question(1), long, question(2)))
        assert first.result(60) == chat.reply(question(1))
        assert third.result(60) == chat.reply(question(2))
        with pytest.raises(ChatError, match="reads 700 tokens at most") as caught:
            second.result(60)
    assert caught.value.cause == "refused"


def test_a_failure_while_generating_reaches_every_caller(toy_chat: Path) -> None:
    chat = LocalChat(str(toy_chat), batch_size=3, max_wait_ms=500.0)
    chat.reply(question(0))
    embedding = chat._loaded().model.get_input_embeddings()
    weight, embedding.weight = embedding.weight, torch.nn.Parameter(torch.zeros(3, 32))  # Tokens out of range.
    with ThreadPoolExecutor(3) as pool:
        for call in [pool.submit(chat.reply, question(number)) for number in range(3)]:
            with pytest.raises(ChatError, match="the batch failed") as caught:
                call.result(60)
            assert caught.value.cause == "server"
    embedding.weight = weight
    assert chat.reply(question(0)).text


def test_pictures_change_what_a_vision_model_says_and_batches_may_mix(tmp_path: Path) -> None:
    chat = LocalChat(str(build_toy_vision_chat(tmp_path / "llava")), batch_size=4, max_wait_ms=500.0, temperature=0.0)
    assert chat.sees
    turns = load_prompt("describe.v1").fill()
    pictures = [None, Image.new("RGB", (40, 20), "red"), Image.new("L", (700, 20)), None]
    requests = [ChatRequest(messages=turns, schema=SCHEMA, image=picture, max_tokens=16) for picture in pictures]
    replies = ask_together(chat, requests)
    assert replies == [chat.reply(request) for request in requests]
    assert replies[0] == replies[3]
    assert replies[1].prompt_tokens == replies[0].prompt_tokens + 4
    assert len({reply.text for reply in replies}) == 3
    # With the question, not with an example before it.
    example = (Message("user", "a picture?"), Message("assistant", "{}"))
    shown = ChatRequest(messages=(turns[0], *example, turns[1]), schema=SCHEMA, image=pictures[1], num_examples=2)
    said = chat._loaded().form.prompt(shown)
    assert said.count("<image>") == 1
    assert said.index("a picture?") < said.index("<image>") < said.index(turns[1].text)


def test_a_blind_model_is_shown_nothing(toy_chat: Path) -> None:
    request = ChatRequest(messages=question(0).messages, schema=SCHEMA, image=Image.new("RGB", (8, 8)))
    with pytest.raises(ChatError, match="takes none"):
        LocalChat(str(toy_chat)).reply(request)


def test_what_cannot_be_loaded_is_a_wrong_setting_and_not_a_silent_model(toy_chat: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="directory or hub name"):
        LocalChat(str(tmp_path / "nothing"))
    folder = shutil.copytree(toy_chat, tmp_path / "pickled")
    weights = folder / "model.safetensors"
    torch.save({}, folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ValueError, match="cannot be loaded"):
        LocalChat(str(folder)).reply(question(0))
    folder = shutil.copytree(toy_chat, tmp_path / "no_template")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="must have a chat template"):
        LocalChat(str(folder)).reply(question(0))


def test_a_copy_in_another_process_gives_the_same_answers(toy_chat: Path) -> None:
    chat = LocalChat(str(toy_chat), temperature=0.5)
    copy = pickle.loads(pickle.dumps(chat))
    assert copy.parameters == chat.parameters
    assert copy.reply(question(2)) == chat.reply(question(2))


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"temperature": -0.5}, {"max_wait_ms": -1.0}, {"image_px": 0}])
def test_settings_that_cannot_work_are_refused_by_name(toy_chat: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LocalChat(str(toy_chat), **wrong)  # type: ignore[arg-type]
