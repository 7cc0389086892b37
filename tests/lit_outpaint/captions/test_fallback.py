import logging

import pytest
from PIL import Image

from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.protocols import Captioner, CaptionError, Written
from lit_outpaint.testing.models import ScriptedCaptioner

AWAY = CaptionError("no server answers", "connection")


def test_what_the_first_writes_goes_through() -> None:
    captioner = WithFallback(ScriptedCaptioner(["a lake."]))
    assert isinstance(captioner, Captioner)
    assert captioner.summarise(["a hill"]) == Written("a lake", "scripted")
    assert captioner.ledger.fallbacks == {}
    assert captioner.ledger.text() == ""


def test_a_text_of_the_second_says_instead_of_whom_and_why(caplog: pytest.LogCaptureFixture) -> None:
    captioner = WithFallback(ScriptedCaptioner([AWAY, AWAY, " ?"]), RuleCaptioner(["a town", "a forest"]))
    with caplog.at_level(logging.WARNING):
        assert captioner.summarise(["a hill"]) == Written("a wide view: a hill", "rules", "scripted: connection")
        imagined = captioner.imagine("a hill", 2)
        assert captioner.summarise(["a hill"]).instead_of == "scripted: no_word"
    assert [(text.writer, text.instead_of) for text in imagined] == [("rules", "scripted: connection")] * 2
    assert captioner.ledger.fallbacks == {"connection": 2, "no_word": 1}
    assert "3 fallbacks (connection 2, no_word 1)" in captioner.ledger.text()
    assert [record.message.count("no server answers") for record in caplog.records] == [1, 0]


def test_what_neither_can_write_is_an_error_of_the_second() -> None:
    with pytest.raises(CaptionError, match="rules cannot look"):
        WithFallback(ScriptedCaptioner([AWAY])).describe(Image.new("RGB", (8, 8)))


def test_a_fault_of_the_input_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="at least one caption"):
        WithFallback(RuleCaptioner()).summarise([])


def test_the_identity_names_both() -> None:
    one, other = (WithFallback(ScriptedCaptioner(["a lake"], name)) for name in ("one", "other"))
    assert one.identity("imagine")["fallback"]["name"] == "rules"
    assert one.identity("imagine") != other.identity("imagine")
