import json
import multiprocessing
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lit_outpaint.chat.cache import CachedChat, ReplayChat
from lit_outpaint.chat.requests import ChatError, ChatModel, ChatReply, ChatRequest, Message
from lit_outpaint.testing.models import ScriptedChat

RED, BLUE = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
TURNS = (Message("system", "Be brief."), Message("user", "a lake"))
ASKED = ChatRequest(messages=TURNS, schema={"type": "object"}, image=RED, max_tokens=9)


def about(text: str) -> ChatRequest:
    return replace(ASKED, messages=(Message("user", text),))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "replies.sqlite")


def test_what_was_asked_before_is_not_asked_again(path: str) -> None:
    inner = ScriptedChat(["a lake", "a hill"], sees=True)
    for again in (False, True):
        cached = CachedChat(inner, path)
        assert isinstance(cached, ChatModel)
        assert (cached.name, cached.parameters, cached.sees) == (inner.name, inner.parameters, True)
        expected = ChatReply(text="a lake", prompt_tokens=10, completion_tokens=5, from_cache=again)
        assert cached.reply(ASKED) == expected
        assert cached.reply(about("a road")).text == "a hill"
    assert len(inner.requests) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (TURNS[0], Message("user", "a sea"))},
        {"messages": (Message("system", "Be long."), TURNS[1])},
        {"messages": (*TURNS, Message("assistant", "a"), Message("user", "b"))},
        {"messages": (Message("user", "Be brief."), TURNS[1])},
        {"schema": {"type": "array"}},
        {"image": BLUE},
        {"image": None},
        {"max_tokens": 10},
        {"model": ScriptedChat(["a hill"], name="scripted:other")},
        {"model": ScriptedChat(["a hill"], parameters={"temperature": 0.5})},
    ],
)
def test_every_part_of_a_request_makes_another_key(path: str, change: dict[str, Any]) -> None:
    CachedChat(ScriptedChat(["a lake"]), path).reply(ASKED)
    asked = CachedChat(change.pop("model", ScriptedChat(["a hill"])), path)
    assert asked.reply(replace(ASKED, **change)).text == "a hill"


def test_a_model_that_did_not_reply_is_asked_the_next_time(path: str) -> None:
    cached = CachedChat(ScriptedChat([ChatError("timeout", "late"), "a lake"]), path)
    with pytest.raises(ChatError):
        cached.reply(ASKED)
    assert [cached.reply(ASKED).from_cache for _ in range(2)] == [False, True]


def test_a_replay_gives_what_was_recorded_and_never_asks(path: str) -> None:
    CachedChat(ScriptedChat(["a lake \ud83d"]), path).reply(ASKED)
    inner = ScriptedChat(["never"])
    replay = ReplayChat(inner, path)
    before = Path(path).read_bytes()
    assert replay.reply(ASKED).text == "a lake \ud83d"
    # No ChatError: a fallback must not hide it.
    with pytest.raises(ValueError, match=r'none of scripted:chat to "a road" .* record it with CachedChat'):
        replay.reply(about("a road"))
    assert inner.requests == []
    assert Path(path).read_bytes() == before


def test_a_dry_cache_looks_up_and_writes_nothing(path: str, tmp_path: Path) -> None:
    dry = CachedChat(ScriptedChat(["a lake"]), path, dry=True)
    assert [dry.reply(ASKED).text for _ in range(2)] == ["a lake"] * 2
    assert list(tmp_path.iterdir()) == []
    assert len(dry.inner.requests) == 2


@pytest.mark.parametrize("kind", ["text", "directory missing", "replay of nothing"])
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_asked(path: str, kind: str) -> None:
    if kind == "text":
        Path(path).write_text("my thesis" * 1000)
    make = ReplayChat if kind == "replay of nothing" else CachedChat
    with pytest.raises(ValueError, match=r"replies\.sqlite"):
        make(ScriptedChat(["a"]), f"absent/{path}" if kind == "directory missing" else path)


def test_a_file_of_an_earlier_version_is_used_after_a_notice(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, call TEXT, question TEXT, answer TEXT)")
    replay = ReplayChat(ScriptedChat(["never"]), path)
    with pytest.raises(ValueError, match="none of scripted:chat"):
        replay.reply(ASKED)
    cached = CachedChat(ScriptedChat(["a lake"]), path)
    assert [record.getMessage().count(path) for record in caplog.records] == [1, 1]
    assert [cached.reply(ASKED).from_cache for _ in range(2)] == [False, True]
    CachedChat(ScriptedChat([]), path)
    assert len(caplog.records) == 2


def test_it_goes_to_other_processes(path: str) -> None:
    cached = CachedChat(ScriptedChat(["a lake"]), path)
    cached.reply(ASKED)
    assert pickle.loads(pickle.dumps(cached)).reply(ASKED).from_cache


def _write(path: str, worker: int, count: int) -> None:
    cached = CachedChat(ScriptedChat([f"worker {worker}"]), path)
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda number: cached.reply(about(f"a hill {number}")).text, range(count)))
    Path(f"{path}.{worker}.json").write_text(json.dumps(texts))


def test_two_processes_with_many_threads_share_one_file(path: str) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(path, worker, 200)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    one, two = (json.loads(Path(f"{path}.{worker}.json").read_text()) for worker in range(2))
    assert one == two  # Whoever is first is believed by both.
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM replies").fetchone() == (200,)
