from pathlib import Path
from typing import Any

import pytest

from lit_outpaint.captions.estimate import counting
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.chat.cache import CachedChat
from lit_outpaint.chat.ledger import ledger_of
from lit_outpaint.testing.models import ScriptedChat

TOKENIZER = str(Path(__file__).parents[3] / "models/scapes/tokenizer")


@pytest.fixture
def model() -> LanguageModelCaptioner:
    return LanguageModelCaptioner(
        ScriptedChat(['{"caption": "a lake below a hill"}']), LanguageModelConfig(tokenizer=TOKENIZER)
    )


def test_an_estimate_asks_nothing_and_counts_turns_and_tokens(model: LanguageModelCaptioner) -> None:
    counted = counting(WithFallback(model))
    counted.summarise([text for text, *_ in counted.imagine("a lake", 3)])
    ledger = ledger_of(counted)
    assert model.chat.requests == []
    assert (ledger["turns"], ledger["repairs"], ledger["cut"], ledger.fallbacks) == (2, 0, 0, {})
    # Every turn that is sent counts, the examples too.
    sent = sum(len(turn.text) for name in ("imagine", "summarise") for turn in model.config.prompt(name).turns)
    assert sent / 4 < ledger["prompt_tokens"] < sent / 4 + 250
    assert 60 < ledger["completion_tokens"] < 200


def test_an_estimate_passes_the_checks_of_every_step(model: LanguageModelCaptioner) -> None:
    counted, previous = counting(WithFallback(model)), []
    for step in range(3):
        asked: dict[str, Any] = {"view": None, "direction": "right", "global_caption": "a lake, and a mill"}
        previous.append(counted.next_local(**asked, previous=previous, seen=[], step=step).text)
    assert (ledger_of(counted)["turns"], ledger_of(counted).fallbacks) == (3, {})


def test_what_the_cache_holds_is_not_counted_as_a_turn(model: LanguageModelCaptioner, tmp_path: Path) -> None:
    chat = CachedChat(model.chat, str(tmp_path / "replies.sqlite"))
    cached = LanguageModelCaptioner(chat, model.config)
    cached.summarise(["a hill"])
    counted = counting(cached)
    assert counted.summarise(["a hill"]).text == "a lake below a hill"
    counted.summarise(["a town"])
    assert (ledger_of(counted)["hits"], ledger_of(counted)["turns"]) == (1, 1)
    assert len(model.chat.requests) == 1


def test_a_captioner_that_costs_nothing_is_left_as_it_is() -> None:
    rules = RuleCaptioner()
    assert counting(rules) is rules
