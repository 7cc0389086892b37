"""``data_prep dense_prompts`` against a real server, and by rules alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.__main__ import main
from lit_outpaint.runs.pictures import read_prompts
from lit_outpaint.testing.servers import FaultServer, chat_body

LONG = " ".join(["a red barn stands on the left of a wide green meadow"] * 5)
CAPTIONS = ("a red barn at dusk", "a blue tent in a desert")


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "captions.txt"
    path.write_text("\n".join(CAPTIONS) + "\n")
    return path


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _served(server: FaultServer, captions: Path, out: Path, *more: str) -> int:
    chat = ["--chat", "lit_outpaint.chat.openai_chat.OpenAIChat", "--chat.model", "toy", "--chat.base_url", server.url]
    return main(["dense_prompts", "--captions", str(captions), "--out", str(out), *chat, *more])


def test_a_language_model_writes_is_counted_and_asked_once(
    captions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = ["--cache", str(tmp_path / "replies.sqlite")]
    with FaultServer(lambda request: "said", body=chat_body(json.dumps({"caption": LONG}))) as server:
        assert _served(server, captions, tmp_path / "one.jsonl", *cache) == 0
        assert "2 turns with the model" in capsys.readouterr().out
        assert _served(server, captions, tmp_path / "two.jsonl", *cache) == 0
        assert "2 replies from the cache" in capsys.readouterr().out
        assert len(server.requests) == len(CAPTIONS)
    rows = _rows(tmp_path / "one.jsonl")
    assert [(row["caption"], row["prompt"], row["writer"]) for row in rows] == [
        (caption, LONG, "openai:toy") for caption in CAPTIONS
    ]
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_rules_stand_in_for_answers_that_cannot_be_used_and_say_so(
    captions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(lambda request: "said", body=chat_body(json.dumps({"caption": "too short"}))) as server:
        assert _served(server, captions, tmp_path / "dense.jsonl") == 0
        assert len(server.requests) == 2 * len(CAPTIONS)
    assert "2 fallbacks" in capsys.readouterr().out
    for row in _rows(tmp_path / "dense.jsonl"):
        assert row["writer"] == "rules"
        assert row["instead_of"].startswith("openai:toy")


def test_rules_write_where_no_model_is_named_and_generate_reads_them(captions: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        out = str(tmp_path / f"{name}.jsonl")
        assert main(["dense_prompts", "--captions", str(captions), "--out", out, "--seed", seed]) == 0
    texts = {name: (tmp_path / f"{name}.jsonl").read_text() for name in "abc"}
    assert texts["a"] == texts["b"] != texts["c"]
    prompts = read_prompts(tmp_path / "a.jsonl")
    assert [prompt.id for prompt in prompts] == [row["id"] for row in _rows(tmp_path / "a.jsonl")]
    assert all(40 <= len(prompt.text.split()) <= 140 for prompt in prompts)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--out", "dense.txt"], ".jsonl"),
        (["--out", "d.jsonl", "--cache", "c.sqlite"], "cache"),
        (["--out", "d.jsonl", "--length.least_words", "900", "--length.most_words", "999"], "900"),
    ],
)
def test_bad_settings_are_refused_in_one_line(
    captions: Path, capsys: pytest.CaptureFixture[str], more: list[str], named: str
) -> None:
    assert main(["dense_prompts", "--captions", str(captions), *more]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert named in error
