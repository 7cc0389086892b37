import json
import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lit_outpaint.captions.cache import CachedCaptioner, ReplayCaptioner, question_key, question_of
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.protocols import Captioner, CaptionError
from lit_outpaint.testing.models import ScriptedCaptioner, ScriptedChat

RED, BLUE = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
ASKED: dict[str, Any] = {
    "direction": "left", "global_caption": "a lake", "previous": ["a hill"], "seen": ["a barn"], "step": 3
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "answers.sqlite")


def test_what_was_asked_before_is_not_asked_again(path: str) -> None:
    inner = ScriptedCaptioner(["a lake", "a hill", "a town"])
    for _ in range(2):
        cached = CachedCaptioner(inner, path)
        assert isinstance(cached, Captioner)
        assert [written.text for written in cached.imagine("a road", 2)] == ["a lake 0", "a lake 1"]
        assert cached.summarise(["a road"]).text == "a hill"
        assert cached.next_local(view=RED, **ASKED) == ("a town", "scripted", "")
    assert len(inner.asked) == 3
    assert cached.ledger["hits"] == 3


@pytest.mark.parametrize(
    "change",
    [{name: value} for name, value in {
        "direction": "right", "global_caption": "a sea", "previous": [], "seen": [], "step": 4, "view": BLUE
    }.items()],
)  # fmt: skip
def test_every_part_of_a_question_makes_another_key(path: str, change: dict[str, Any]) -> None:
    inner = ScriptedCaptioner(["a lake", "a hill"])
    cached = CachedCaptioner(inner, path)
    cached.next_local(view=RED, **ASKED)
    assert cached.next_local(**{"view": RED, **ASKED, **change}).text == "a hill"


def test_model_parameters_prompt_and_call_make_other_keys(toy_family: Path) -> None:
    def key(chat: ScriptedChat, call: str = "summarise", **changes: Any) -> str:
        config = LanguageModelConfig(tokenizer=str(toy_family / "tokenizer"), **changes)
        return question_key(question_of(LanguageModelCaptioner(chat, config), call, {"captions": ["a lake"]}))

    keys = {
        key(ScriptedChat([])),
        key(ScriptedChat([], name="scripted:other")),
        key(ScriptedChat([], parameters={"temperature": 0.5})),
        key(ScriptedChat([]), summarise_prompt="describe.v1"),
        key(ScriptedChat([]), "describe"),
        key(ScriptedChat([]), max_tokens=64),
    }
    assert len(keys) == 6
    assert key(ScriptedChat([])) in keys


def test_a_picture_counts_only_for_a_captioner_that_sees(toy_family: Path) -> None:
    config = LanguageModelConfig(tokenizer=str(toy_family / "tokenizer"))
    for sees, keys in ((True, 2), (False, 1)):
        captioner = LanguageModelCaptioner(ScriptedChat([], sees=sees), config)
        assert len({question_key(question_of(captioner, "next_local", {}, view)) for view in (RED, BLUE)}) == keys


def test_only_what_the_captioner_wrote_itself_is_kept(path: str) -> None:
    inner = ScriptedCaptioner([CaptionError("away", "connection"), "a lake"])
    with pytest.raises(CaptionError):
        CachedCaptioner(inner, path).summarise(["a hill"])
    inner.asked.clear()
    cached = CachedCaptioner(WithFallback(inner), path)
    assert cached.summarise(["a hill"]).writer == "rules"
    assert cached.summarise(["a hill"]).text == "a lake"
    assert cached.summarise(["a hill"]).text == "a lake"
    assert len(inner.asked) == 2


def test_a_replay_gives_what_was_recorded_and_never_asks(path: str) -> None:
    CachedCaptioner(ScriptedCaptioner(["a lake"]), path).summarise(["a hill"])
    inner = ScriptedCaptioner(["a lake"])
    replay = WithFallback(ReplayCaptioner(inner, path))
    before = Path(path).read_bytes()
    assert replay.summarise(["a hill"]).text == "a lake"
    with pytest.raises(ValueError, match=r"has none of scripted to this summarise .* record it with CachedCaptioner"):
        replay.summarise(["a town"])
    assert (inner.asked, replay.ledger.fallbacks) == ([], {})
    assert Path(path).read_bytes() == before


def test_a_dry_cache_looks_up_and_writes_nothing(path: str, tmp_path: Path) -> None:
    dry = CachedCaptioner(ScriptedCaptioner(["a lake"]), path, dry=True)
    assert [dry.summarise(["a hill"]).text for _ in range(2)] == ["a lake"] * 2
    assert list(tmp_path.iterdir()) == []
    assert len(dry.inner.asked) == 2


@pytest.mark.parametrize("kind", ["text", "directory missing", "replay of nothing"])
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_asked(path: str, kind: str) -> None:
    if kind == "text":
        Path(path).write_text("my thesis" * 1000)
    make = ReplayCaptioner if kind == "replay of nothing" else CachedCaptioner
    with pytest.raises(ValueError, match=r"answers\.sqlite"):
        make(ScriptedCaptioner(["a"]), f"absent/{path}" if kind == "directory missing" else path)


def _write(path: str, worker: int, count: int) -> None:
    cached = CachedCaptioner(ScriptedCaptioner([f"worker {worker}"], concurrency=4), path)
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda number: cached.summarise([f"a hill {number}"]).text, range(count)))
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
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (200,)
