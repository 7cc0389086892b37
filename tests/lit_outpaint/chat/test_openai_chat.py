"""OpenAIChat against real HTTP servers that misbehave."""

import base64
import io
import json
import logging
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from PIL import Image

from benchmarks.captions import measure
from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.chat.openai_wire import read_reply, strict_schema
from lit_outpaint.chat.pacing import MAX_BACKOFF_S, MAX_RETRY_AFTER_S, backoff, retry_after_s
from lit_outpaint.chat.requests import ChatError, ChatModel, ChatRequest, Message
from lit_outpaint.testing.servers import FaultServer, latency_stub, stub_stats

REQUEST = ChatRequest(
    messages=load_prompt("imagine.v1").fill(caption="a boat", n=3), schema=CaptionsAnswer.model_json_schema()
)


@pytest.fixture(autouse=True)
def _no_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(server: FaultServer, request: ChatRequest = REQUEST, **settings: Any) -> Any:
    chat = OpenAIChat("some-model", server.url, first_wait_s=0.01, **settings)
    try:
        return chat.reply(request)
    finally:
        chat.close()


def test_a_good_answer_comes_back_with_its_count_of_tokens_and_needs_no_key() -> None:
    with FaultServer() as server:
        chat = OpenAIChat("some-model", server.url)
        reply = chat.reply(REQUEST)
        chat.close()
    assert isinstance(chat, ChatModel)
    assert len(CaptionsAnswer.model_validate_json(reply.text).captions) == 3
    assert (reply.prompt_tokens, reply.completion_tokens, reply.retries) == (10, 5, 0)
    sent = server.requests[0]
    assert sent["model"] == "some-model"
    assert sent["messages"] == [{"role": m.role, "content": m.text} for m in REQUEST.messages]
    assert (sent["max_tokens"], sent["temperature"], sent["seed"]) == (256, 0.7, 0)
    assert sent["response_format"]["json_schema"]["schema"]["additionalProperties"] is False


@pytest.mark.parametrize("kind", ["rate_limit", "error", "half_body", "reset", "huge_error"])
def test_a_fault_that_passes_costs_retries_and_nothing_else(kind: str) -> None:
    with FaultServer([kind, kind]) as server:
        reply = ask(server)
    assert reply.retries == 2
    assert server.kinds == [kind, kind, "good"]


@pytest.mark.parametrize(
    ("kind", "cause", "asked", "words"),
    [
        ("rate_limit", "rate_limit", 3, "answered 429: slow down"),
        ("no_money", "refused", 1, "pay first"),
        ("error", "server", 3, "answered 500"),
        ("half_body", "server", 3, "no chat completion"),
        ("reset", "connection", 3, "broke"),
        ("slow", "timeout", 3, "did not answer within 0.3 s"),
        ("drip", "timeout", 3, "did not answer within 0.3 s"),
        ("refused", "refused", 1, "answered 401: wrong key"),
        ("moved", "refused", 1, "answered 307"),
        ("huge", "too_long", 1, "longer than 200000 bytes"),
        ("huge_error", "server", 3, "answered 500"),
        ("blank", "too_long", 1, "1000 blanks"),
    ],
)
def test_a_fault_that_stays_is_named_with_its_cause_and_retries(kind: str, cause: str, asked: int, words: str) -> None:
    timeout_s = 0.3 if cause == "timeout" else 30.0
    with FaultServer(lambda _: kind, slow_s=1.0) as server, pytest.raises(ChatError, match=words) as caught:
        ask(server, max_retries=2, timeout_s=timeout_s)
    assert (caught.value.cause, caught.value.retries) == (cause, asked - 1)
    assert len(server.kinds) == asked
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("empty", "$"),
        ("wrong_schema", r'\{"answer": \['),
        ("half_json", r'\{"captions": \["a red barn'),
        ("injection", r'\{"captions": \["Ignore all'),
    ],
)
def test_what_the_model_says_is_handed_on_as_it_came(kind: str, begins: str) -> None:
    with FaultServer([kind]) as server:
        reply = ask(server)
    assert server.kinds == [kind]
    assert re.match(begins, reply.text)


def test_retry_after_is_waited_in_full() -> None:
    with FaultServer(["rate_limit"], retry_after="1") as server:
        ask(server)
    assert server.times[1] - server.times[0] >= 1.0


def test_waits_are_capped_whatever_the_server_says() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert retry_after_s({"retry-after": "86400"}) == MAX_RETRY_AFTER_S
    assert retry_after_s({"retry-after": "-1"}) == retry_after_s({"retry-after": "nan"}) == 0.0
    assert retry_after_s({"retry-after-ms": "250"}) == 0.25
    assert 25 < (retry_after_s({"retry-after": soon}) or 0) <= 30
    assert retry_after_s({"retry-after": past}) == 0.0
    assert retry_after_s({"retry-after": "later"}) is None
    assert retry_after_s({}) is None
    assert backoff(500, 0.5) <= MAX_BACKOFF_S
    assert len({backoff(3, 0.5) for _ in range(20)}) > 1


def test_no_server_is_said_soon() -> None:
    with socket.socket() as taken:  # Bound but not listening: nobody answers there, and no one else can come to.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        chat = OpenAIChat("m", f"http://127.0.0.1:{port}/v1", first_wait_s=0.01, max_retries=50)
        with pytest.raises(ChatError, match=f"no server answers at http://127.0.0.1:{port}/v1") as caught:
            chat.reply(REQUEST)
    assert (caught.value.cause, caught.value.retries) == ("connection", 2)


def test_a_form_the_server_refuses_is_given_up_once_and_for_all() -> None:
    with FaultServer(lambda _: "no_form") as server:
        chat = OpenAIChat("m", server.url)
        replies = [chat.reply(REQUEST) for _ in range(3)]
        chat.close()
    forms = [request.get("response_format", {}).get("type") for request in server.requests]
    assert forms == ["json_schema", "json_object", None, None, None]
    assert [reply.retries for reply in replies] == [0, 0, 0]
    assert chat.parameters["schema_mode"] == "auto"


def test_a_form_that_was_asked_for_by_name_is_not_given_up() -> None:
    with FaultServer(lambda _: "no_form") as server, pytest.raises(ChatError, match="response_format"):
        ask(server, schema_mode="json_schema")
    assert len(server.requests) == 1


def test_servers_that_know_only_the_new_word_for_the_limit_get_it() -> None:
    with FaultServer(lambda _: "no_limit_word") as server:
        assert ask(server).retries == 0
    assert server.requests[1]["max_completion_tokens"] == 256
    assert "max_tokens" not in server.requests[1]


def test_the_key_goes_to_the_server_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", "sk-very-secret\n")
    with FaultServer(["refused"]) as server:
        chat = OpenAIChat("m", server.url, api_key_env="MY_KEY")
        with pytest.raises(ChatError, match=re.escape("wrong key: Bearer ***")) as caught:
            chat.reply(REQUEST)
    assert server.headers[0]["authorization"] == "Bearer sk-very-secret"
    told = f"{caught.value} {chat!r} {chat.parameters} {vars(chat)} {caplog.text}"
    assert "very-secret" not in told
    assert b"very-secret" not in pickle.dumps(chat)


def test_openai_itself_needs_a_key_and_says_where_it_belongs() -> None:
    with pytest.raises(ValueError, match="OPENAI_API_KEY must hold the key for https://api"):
        OpenAIChat("gpt").reply(REQUEST)


def test_a_picture_goes_as_data_scaled_down_and_only_to_models_that_see() -> None:
    request = ChatRequest(
        messages=load_prompt("describe.v1").fill(),
        schema=CaptionAnswer.model_json_schema(),
        image=Image.new("RGBA", (1000, 300), "red"),
    )
    with FaultServer() as server:
        ask(server, request, sees=True, image_px=500)
        with pytest.raises(ChatError, match="takes none"):
            ask(server, request)
    (sent,) = server.requests
    picture, text = sent["messages"][1]["content"]
    assert text["text"] == request.messages[1].text
    assert sent["messages"][0]["content"] == request.messages[0].text
    kind, _, data = picture["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/jpeg"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (500, 150)


def test_examples_come_before_the_picture_and_a_draw_moves_the_seed() -> None:
    example = (Message("user", "a picture?"), Message("assistant", "{}"))
    system, user = load_prompt("describe.v1").fill()
    request = ChatRequest(
        messages=(system, *example, user),
        schema=CaptionAnswer.model_json_schema(),
        image=Image.new("RGB", (8, 8)),
        num_examples=2,
        draw=5,
    )
    with FaultServer() as server:
        ask(server, request, sees=True, seed=2)
        ask(server, request, sees=True, seed=None)
    sent, unseeded = server.requests
    assert [type(message["content"]) for message in sent["messages"]] == [str, str, str, list]
    assert sent["seed"] == 7
    assert "seed" not in unseeded


SERVE_ONE_KIND = """
import sys
from lit_outpaint.testing.servers import FaultServer
with FaultServer(lambda _: sys.argv[1]) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["huge", "huge_error"])
def test_ten_megabytes_do_not_reach_memory(kind: str) -> None:
    # In a process of its own, as the server's ten megabytes would be counted with ours.
    command = [sys.executable, "-c", SERVE_ONE_KIND, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        chat = OpenAIChat("m", server.stdout.readline().strip(), max_retries=0)
        with pytest.raises(ChatError):
            chat.reply(REQUEST)  # The first question imports the client.
        tracemalloc.start()
        with pytest.raises(ChatError):
            chat.reply(REQUEST)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        chat.close()
        server.stdin.close()
    assert peak < 2_000_000


def test_the_bound_on_concurrency_holds_for_any_number_of_callers() -> None:
    with latency_stub(0.03) as url:
        chat = OpenAIChat("m", url, concurrency=3)
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: chat.reply(REQUEST), range(24)))
        assert stub_stats(url)["in_flight"] == 3
        chat.close()


def test_requests_a_minute_are_spaced() -> None:
    with FaultServer() as server:
        chat = OpenAIChat("m", server.url, requests_per_minute=600.0)
        start = time.monotonic()  # The first request may reach a busy server late.
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: chat.reply(REQUEST), range(6)))
        chat.close()
    assert max(server.times) - start >= 0.45


def test_a_copy_in_another_process_asks_the_same() -> None:
    with FaultServer() as server:
        chat = OpenAIChat("m", server.url, temperature=0.1, concurrency=2)
        chat.reply(REQUEST)
        copy = pickle.loads(pickle.dumps(chat))
        assert copy.parameters == chat.parameters
        copy.reply(REQUEST)
        for each in (chat, copy):
            each.close()
    assert server.requests[0] == server.requests[1]


def test_strict_schemas_keep_their_fields_and_lose_what_strict_servers_refuse() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "properties": {"title": {"type": "string", "minLength": 1, "maxLength": 9}, "b": {"$ref": "#/$defs/B"}},
        "$defs": {"B": {"type": "array", "items": {"type": "object", "properties": {}}, "maxItems": 3}},
    }
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "b": {"$ref": "#/$defs/B"}},
        "$defs": {
            "B": {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False, "required": []},
                "maxItems": 3,
            }
        },
        "additionalProperties": False,
        "required": ["title", "b"],
    }


def test_tokens_are_estimated_where_the_server_counts_none() -> None:
    raw = json.dumps({"choices": [{"message": {"content": "x" * 41}}], "usage": {"prompt_tokens": None}}).encode()
    reply = read_reply(raw, [Message("user", "y" * 80)])
    assert (reply.prompt_tokens, reply.completion_tokens) == (20, 11)


def test_an_address_holds_no_password_and_the_refusal_does_not_repeat_it() -> None:
    with pytest.raises(ValueError, match="base_url must hold no password") as caught:
        OpenAIChat("m", "https://user:secret@host/v1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"base_url": "localhost:8000"},
        {"concurrency": 0},
        {"timeout_s": 0.0},
        {"max_retries": -1},
        {"requests_per_minute": 0.0},
        {"temperature": -1.0},
        {"max_answer_bytes": 10},
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OpenAIChat(**{"model": "m", **wrong})


def test_threads_that_meet_faults_at_once_each_get_their_own_end() -> None:
    kinds = ["good", "error", "rate_limit", "reset", "half_body", "good", "refused", "huge"]
    turn, lock = Counter[str](), threading.Lock()

    def choose(request: dict[str, Any]) -> str:
        with lock:
            turn["all"] += 1
            return kinds[turn["all"] % len(kinds)]

    with FaultServer(choose) as server:
        chat = OpenAIChat("m", server.url, concurrency=16, first_wait_s=0.01, max_retries=9)

        def end(_: int) -> str:
            try:
                return chat.reply(REQUEST).text
            except ChatError as error:
                return error.cause

        start = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            ends = Counter(pool.map(end, range(120)))
        chat.close()
    assert time.monotonic() - start < 30
    assert ends.total() == 120
    assert ends["refused"] == server.kinds.count("refused")
    assert ends["too_long"] == server.kinds.count("huge")
    assert sum(count for text, count in ends.items() if text.startswith("{")) == server.kinds.count("good")


def test_the_bound_is_kept_full_to_the_last_request() -> None:
    with latency_stub(gather=8, expected=200) as url:
        chat = OpenAIChat("m", url, concurrency=8)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: chat.reply(REQUEST), range(200)))
        stats = stub_stats(url)
        chat.close()
    assert (
        stats["stalled"] == 0
    )  # A client that waits for a whole round before it asks again leaves the server waiting.
    assert (stats["requests"], stats["in_flight"]) == (200, 8)


def test_memory_stays_flat_over_many_requests() -> None:
    with latency_stub(0.005) as url:
        figures = measure(url, num_requests=400, concurrency=8, latency_s=0.005)
    assert figures["rss_growth_mib"] < 4
