import json

import pytest

from lit_outpaint.captions.dense_prompts import DensePromptConfig, dense_prompt
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.protocols import CaptionError
from lit_outpaint.testing.models import ScriptedChat

LONG = " ".join(["a red barn stands on the left of a wide green meadow"] * 5)


def _answer(text: str) -> str:
    return json.dumps({"caption": text})


def test_a_description_of_the_right_length_is_taken() -> None:
    chat = ScriptedChat([_answer(LONG)])
    ledger = Ledger()
    assert dense_prompt(chat, "a red barn", ledger=ledger) == LONG
    assert (ledger["turns"], ledger["completion_tokens"], ledger["repairs"]) == (1, 5, 0)
    asked = chat.requests[0].messages[-1].text
    assert '"a red barn"' in asked
    assert "40 to 140 words" in asked


@pytest.mark.parametrize(
    "bad", [_answer("too short"), _answer(f"{LONG} " * 4), "no JSON at all", _answer("a church, " * 30)]
)
def test_a_bad_answer_is_sent_back_once_with_its_fault(bad: str) -> None:
    chat = ScriptedChat([bad, _answer(LONG)])
    ledger = Ledger()
    assert dense_prompt(chat, "a red barn", ledger=ledger) == LONG
    assert (ledger["turns"], ledger["repairs"]) == (2, 1)
    assert "cannot be used" in chat.requests[1].messages[-1].text
    with pytest.raises(CaptionError, match="asked twice"):
        dense_prompt(ScriptedChat([bad]), "a red barn")


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="least_words"):
        DensePromptConfig(least_words=50, most_words=40)
    with pytest.raises(ValueError, match="a prompt must be one of"):
        DensePromptConfig(prompt="none.v1")
