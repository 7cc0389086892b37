import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser, set_parsing_settings

from lit_outpaint.captions.language_model import LanguageModelCaptioner
from lit_outpaint.chat.cache import CachedChat
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.protocols import Captioner

CAPTIONER = "lit_outpaint.captions.language_model.LanguageModelCaptioner"
OPENAI = "lit_outpaint.chat.openai_chat.OpenAIChat"


@pytest.fixture
def parser() -> ArgumentParser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("-c", "--config", action="config")
    parser.add_argument("--captioner", type=Captioner | None, default=None)
    return parser


@pytest.fixture
def nested(toy_family: Path, tmp_path: Path) -> dict[str, Any]:
    server = {"model": "some-model", "base_url": "http://127.0.0.1:9/v1", "concurrency": 3, "sees": True}
    cached = {"path": str(tmp_path / "a.sqlite"), "inner": {"class_path": OPENAI, "init_args": server}}
    chat = {"class_path": "lit_outpaint.chat.cache.CachedChat", "init_args": cached}
    config = {"tokenizer": str(toy_family / "tokenizer"), "max_tokens": 99}
    return {"captioner": {"class_path": CAPTIONER, "init_args": {"chat": chat, "config": config}}}


def test_a_server_is_chosen_by_yaml_inside_a_cache_and_no_key_is_written_down(
    parser: ArgumentParser, nested: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame-open")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(nested))
    settings = parser.parse_args(["-c", str(tmp_path / "c.yaml")])
    captioner = parser.instantiate(settings).captioner
    assert isinstance(captioner, LanguageModelCaptioner)
    assert isinstance(captioner.chat, CachedChat)
    assert isinstance(captioner.chat.inner, OpenAIChat)
    assert (captioner.concurrency, captioner.chat.sees, captioner.config.max_tokens) == (3, True, 99)
    written = [parser.dump(settings, skip_unset=False), str(captioner.identity("imagine")), repr(captioner.chat.inner)]
    assert not any("sesame" in text for text in written)
    assert "127.0.0.1" not in written[1]


def test_a_setting_of_the_server_that_does_not_exist_is_refused(parser: ArgumentParser) -> None:
    server = ["--captioner.chat", OPENAI, "--captioner.chat.model", "m", "--captioner.chat.tempreature", "1"]
    with pytest.raises(Exception, match="tempreature"):
        parser.parse_args(["--captioner", CAPTIONER, *server])


def test_captioners_go_to_other_processes(parser: ArgumentParser, nested: dict[str, Any]) -> None:
    captioner = parser.instantiate(parser.parse_object(nested)).captioner
    again = pickle.loads(pickle.dumps(captioner))
    assert again.identity("imagine") == captioner.identity("imagine")
