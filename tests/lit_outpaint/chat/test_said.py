"""What servers say besides a plain text, and what becomes of it."""

import json
from typing import Any

import pytest

from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.chat.requests import ChatReply, ChatRequest, Message
from lit_outpaint.planning.planner import LanguageModelPlanner
from lit_outpaint.testing.servers import FaultServer

GOOD, DRAFT = '{"caption": "a lake"}', 'The user wants {"caption": "a wrong draft"}, but'
TURNS = (Message("system", "Be brief."), Message("user", "What is there?"))
SCHEMA = {"type": "object", "properties": {"caption": {"type": "string"}}, "required": ["caption"]}
REQUEST = ChatRequest(messages=TURNS, schema=SCHEMA)
HARMONY = f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}"
CALL = [{"type": "function", "function": {"name": "caption", "arguments": GOOD}}]


def body(message: dict[str, Any], finish: str | None = "stop") -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(server: FaultServer, times: int = 1) -> list[ChatReply]:
    chat = OpenAIChat("m", server.url, first_wait_s=0.01)
    replies = [chat.reply(REQUEST) for _ in range(times)]
    chat.close()
    return replies


@pytest.mark.parametrize(
    ("message", "finish", "text", "ended"),
    [
        ({"content": GOOD}, None, GOOD, "stop"),
        ({"content": [{"type": "text", "text": GOOD[:9]}, {"type": "text", "text": GOOD[9:]}]}, "stop", GOOD, "stop"),
        ({"content": [{"type": "thinking", "thinking": DRAFT}, {"type": "text", "text": GOOD}]}, "stop", GOOD, "stop"),
        ({"content": [GOOD]}, "stop", GOOD, "stop"),
        ({"content": None, "reasoning_content": GOOD}, "stop", GOOD, "stop"),
        ({"content": "", "reasoning": GOOD}, "stop", GOOD, "stop"),
        ({"content": "", "reasoning_content": DRAFT}, "length", "", "length"),
        ({"content": "", "reasoning_content": GOOD + DRAFT}, "stop", "", "stop"),
        ({"content": GOOD, "reasoning_content": DRAFT}, "stop", GOOD, "stop"),
        ({"content": None, "refusal": "I cannot help."}, "stop", "", "refusal"),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", "", "refusal"),
        ({"content": ""}, "content_filter", "", "refusal"),
        ({"content": None, "tool_calls": CALL}, "tool_calls", "", "tool_calls"),
        ({"content": None, "tool_calls": CALL}, "stop", "", "tool_calls"),
        ({"content": GOOD[:15]}, "length", GOOD[:15], "length"),
        ({"content": None}, "stop", "", "stop"),
    ],
)
def test_the_content_is_read_in_every_form(message: dict[str, Any], finish: str, text: str, ended: str) -> None:
    with FaultServer(["said"], body=body(message, finish)) as server:
        (reply,) = ask(server)
    assert (reply.text, reply.ended) == (text, ended)


@pytest.mark.parametrize(
    ("message", "finish", "cause"),
    [
        ({"content": None, "refusal": "I cannot help."}, "stop", "refusal"),
        ({"content": f"<think>{DRAFT}"}, "length", "length"),
        ({"content": f"<think>{DRAFT}</think>"}, "stop", "empty"),
        ({"content": ""}, "stop", "empty"),
        ({"content": None, "tool_calls": CALL}, "tool_calls", "tool_calls"),
    ],
)
def test_what_kept_the_model_from_an_answer_stands_in_the_record(
    message: dict[str, Any], finish: str, cause: str
) -> None:
    with FaultServer(lambda _: "said", body=body(message, finish)) as server:
        chat = OpenAIChat("m", server.url)
        captioner = WithFallback(LanguageModelCaptioner(chat))
        written = captioner.summarise(["a lake", "a hill"])
        planned = LanguageModelPlanner(chat).plan("a lake and a hill")
        chat.close()
    assert (written.writer, written.instead_of) == ("rules", f"openai:m: {cause}")
    assert planned.instead_of == f"openai:m: {cause}"
    assert captioner.ledger.fallbacks == {cause: 1}
    # It was asked again once, without the draft.
    assert "draft" not in json.dumps(server.requests)


def test_a_schema_that_is_a_fault_of_the_server_is_given_up_once_without_a_retry() -> None:
    with FaultServer(lambda _: "no_schema") as server:
        replies = ask(server, times=3)
    forms = [request.get("response_format", {}).get("type") for request in server.requests]
    assert forms == ["json_schema", "json_object", "json_object", "json_object"]
    assert [reply.retries for reply in replies] == [0, 0, 0]


def test_a_template_without_a_system_turn_gets_its_text_in_the_users() -> None:
    with FaultServer(lambda _: "no_system") as server:
        ask(server, times=2)
    roles = [[message["role"] for message in request["messages"]] for request in server.requests]
    assert roles == [["system", "user"], ["user"], ["user"]]
    assert server.requests[1]["messages"][0]["content"] == "Be brief.\n\nWhat is there?"
    assert all("response_format" in request for request in server.requests)


@pytest.mark.parametrize(
    ("content", "told"),
    [("A lake.", 1), (f"```json\n{GOOD}\n```", 1), ('{"text": "a lake"}', 1), (GOOD, 0), (HARMONY, 0), ("", 0)],
)
def test_a_server_that_ignores_the_schema_is_noticed_once(
    content: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultServer(lambda _: "said", body=body({"content": content})) as server:
        ask(server, times=3)
    assert sum("does not keep to it" in record.getMessage() for record in caplog.records) == told
