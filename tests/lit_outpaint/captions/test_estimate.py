from pathlib import Path

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
    return LanguageModelCaptioner(ScriptedChat(['{"caption": "a lake"}']), LanguageModelConfig(tokenizer=TOKENIZER))


def test_an_estimate_asks_nothing_and_counts_turns_and_tokens(model: LanguageModelCaptioner) -> None:
    counted = counting(WithFallback(model))
    counted.summarise([text for text, *_ in counted.imagine("a lake", 3)])
    ledger = ledger_of(counted)
    assert model.chat.requests == []
    assert (ledger["turns"], ledger["repairs"], ledger["shortened"], ledger.fallbacks) == (2, 0, 0, {})
    assert 100 < ledger["prompt_tokens"] < 400
    assert 60 < ledger["completion_tokens"] < 200


def test_what_the_cache_holds_is_not_counted_as_a_turn(model: LanguageModelCaptioner, tmp_path: Path) -> None:
    chat = CachedChat(model.chat, str(tmp_path / "replies.sqlite"))
    cached = LanguageModelCaptioner(chat, model.config)
    cached.summarise(["a hill"])
    counted = counting(cached)
    assert counted.summarise(["a hill"]).text == "a lake"
    counted.summarise(["a town"])
    assert (ledger_of(counted)["hits"], ledger_of(counted)["turns"]) == (1, 1)
    assert len(model.chat.requests) == 1


def test_a_captioner_that_costs_nothing_is_left_as_it_is() -> None:
    rules = RuleCaptioner()
    assert counting(rules) is rules
