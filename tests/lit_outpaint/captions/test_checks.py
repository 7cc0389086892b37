import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lit_outpaint.captions.checks import about, no_repetition, unlike
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.chat.requests import ChatError
from lit_outpaint.protocols import CaptionError, Written
from lit_outpaint.testing.models import ScriptedChat

BOAT, TOWER = '{"caption": "a red boat on a lake"}', '{"caption": "a tower on a hill"}'


@pytest.fixture
def config(toy_family: Path) -> LanguageModelConfig:
    return LanguageModelConfig(tokenizer=str(toy_family / "tokenizer"))


def _next(captioner: LanguageModelCaptioner | WithFallback, previous: Sequence[str], **changes: Any) -> Written:
    asked: dict[str, Any] = {"global_caption": "a wide view: a lake, and a village with a mill", "step": 0}
    asked |= {"view": None, "direction": "right", "seen": []}
    return captioner.next_local(previous=previous, **{**asked, **changes})


def test_a_step_that_says_what_a_step_before_said_is_asked_again_with_another_seed(config: LanguageModelConfig) -> None:
    captioner = LanguageModelCaptioner(ScriptedChat([BOAT, TOWER]), config)
    assert _next(captioner, ["the red boat on the lake", "a pier"], step=3).text == "a tower on a hill"
    first, second = captioner.chat.requests
    assert first.messages == second.messages
    assert (first.draw, second.draw) == (6, 7)
    assert (captioner.ledger["at_once"], captioner.ledger["repaired"], captioner.ledger["repairs"]) == (0, 1, 1)


def test_then_rules_write_it(config: LanguageModelConfig) -> None:
    captioner = WithFallback(LanguageModelCaptioner(ScriptedChat([BOAT]), config))
    written = _next(captioner, ["a red boat on a lake"])
    assert (written.writer, written.instead_of) == ("rules", "scripted:chat: invalid_answer")
    assert captioner.ledger["turns"] == 2


def test_how_like_a_caption_may_be_is_a_setting_and_at_one_steps_may_repeat(toy_family: Path) -> None:
    def asked(most: float) -> LanguageModelCaptioner:
        config = LanguageModelConfig(tokenizer=str(toy_family / "tokenizer"), max_similarity=most, seed_per_step=False)
        return LanguageModelCaptioner(ScriptedChat([BOAT]), config)

    assert _next(asked(1.0), ["a red boat on a lake"], step=9).text == "a red boat on a lake"
    assert _next(asked(0.7), ["a boat on a lake"]).text == "a red boat on a lake"  # 2 of 3 words.
    with pytest.raises(CaptionError, match='it repeats "a boat on a lake"'):
        _next(asked(0.6), ["a boat on a lake"])
    captioner = asked(1.0)
    _next(captioner, [], step=9)
    assert captioner.chat.requests[0].draw == 0
    assert asked(0.6).identity("next_local") != asked(0.7).identity("next_local")
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 2"):
        LanguageModelConfig(max_similarity=2.0)


def test_an_answer_that_copies_an_example_is_refused(config: LanguageModelConfig) -> None:
    said = [turn.text for turn in config.prompt("next_local").examples if turn.role == "assistant"]
    for copied in (said[0], said[0].upper().replace('"CAPTION"', '"caption"')):
        captioner = LanguageModelCaptioner(ScriptedChat([copied, TOWER]), config)
        assert _next(captioner, []).text == "a tower on a hill"
        assert captioner.ledger["repairs"] == 1
    with pytest.raises(CaptionError, match="it copies an example"):
        _next(LanguageModelCaptioner(ScriptedChat(said), config), [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a church, a church, a church", 'it names "a church" 3 times'),
        ("A church. a church", 'it says "a church" 2 times'),
        ("a red barn, tall grass, and a red barn", 'it says "a red barn" 2 times'),
        ("two trees beside a tree behind the tree", 'it names "two trees" 3 times'),
        ("a red church beside a white church near a church", ""),
        ("a man, a dog, a man's hat", ""),
        ("12, 12", ""),
    ],
)
def test_a_caption_that_names_one_thing_again_and_again_is_found(text: str, fault: str) -> None:
    assert no_repetition(text) == fault


def test_a_caption_that_repeats_itself_is_asked_for_again(config: LanguageModelConfig) -> None:
    repeats = '{"caption": "a church, a church, a church"}'
    captioner = LanguageModelCaptioner(ScriptedChat([repeats, TOWER]), config)
    assert _next(captioner, []).text == "a tower on a hill"
    assert captioner.ledger["repairs"] == 1
    with pytest.raises(CaptionError, match='it names "a church" 3 times'):
        _next(LanguageModelCaptioner(ScriptedChat([repeats]), config), [])
    listed = LanguageModelCaptioner(ScriptedChat(['{"captions": ["a pond, a pond", "a mill"]}', TOWER]), config)
    with pytest.raises(CaptionError) as refused:
        listed.imagine("a lake", 2)
    assert [written.text for written in refused.value.kept] == ["a mill"]


def test_a_summary_has_a_word_of_its_captions(config: LanguageModelConfig) -> None:
    captioner = LanguageModelCaptioner(ScriptedChat([TOWER, BOAT]), config)
    assert captioner.summarise(["a quiet lake", "some reeds"]).text == "a red boat on a lake"
    assert about(["12"])("a tower") == ""
    assert unlike([], 0.0)("a tower") == ""


def test_good_answers_of_a_list_are_kept_and_the_missing_ones_asked_for(config: LanguageModelConfig) -> None:
    first, second = (json.dumps({"captions": texts}) for texts in (["a mill", "a red boat"], ["a mill", "a tower"]))
    captioner = LanguageModelCaptioner(ScriptedChat([first, second]), config)
    assert [text for text, *_ in captioner.imagine("the red boat", 2)] == ["a mill", "a tower"]
    asked = captioner.chat.requests[1]
    assert "Write 1 short" in asked.messages[-1].text
    assert asked.schema["properties"]["captions"]["maxItems"] == 1
    assert (captioner.ledger["at_once"], captioner.ledger["repaired"]) == (1, 1)


@pytest.mark.parametrize("second", ['{"captions": ["a mill"]}', ChatError("timeout", "late")])
def test_rules_write_only_what_is_missing_of_a_list(config: LanguageModelConfig, second: str | ChatError) -> None:
    chat = ScriptedChat(['{"captions": ["a mill", "a tower", "a red boat"]}', second])
    captioner = WithFallback(LanguageModelCaptioner(chat, config), RuleCaptioner(["a mill"]))
    written = captioner.imagine("the red boat", 4)
    assert written[:2] == [Written("a mill", "scripted:chat"), Written("a tower", "scripted:chat")]
    cause = second.cause if isinstance(second, ChatError) else "invalid_answer"
    assert [(text.writer, text.instead_of) for text in written[2:]] == [("rules", f"scripted:chat: {cause}")] * 2
    assert len({text.text for text in written}) == 4
    ledger = captioner.ledger
    assert (ledger["at_once"], ledger["by_fallback"], ledger["captions"]) == (2, 2, 4)
