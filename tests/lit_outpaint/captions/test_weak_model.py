"""A real small language model behind llama.cpp's server: that every part works together, not how well it writes."""

from collections.abc import Iterator

import pytest

from benchmarks.language_models import Row, measure, table
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.testing.llama import HOW_TO_INSTALL, find_llama_server, find_smollm2, llama_server

BINARY, WEIGHTS = find_llama_server(), find_smollm2()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None or WEIGHTS is None, reason=HOW_TO_INSTALL)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert BINARY is not None
    assert WEIGHTS is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        with llama_server(BINARY, WEIGHTS, tmp_path_factory.mktemp("llama") / "log") as url:
            yield url


@pytest.mark.parametrize("schema_mode", ["auto", "none"])
def test_every_caption_is_written_and_every_turn_is_counted(url: str, schema_mode: str) -> None:
    chat = OpenAIChat("smollm2", url, schema_mode=schema_mode, timeout_s=600.0)  # type: ignore[arg-type]
    captioner = LanguageModelCaptioner(chat, LanguageModelConfig())
    rows = measure(captioner, cases=2, walks=0)
    ledger = captioner.ledger
    assert {name: len(row.texts) for name, row in rows.items()} == {"imagine": 6, "summarise": 2, "next_local": 2}
    assert ledger["captions"] == ledger["at_once"] + ledger["repaired"] + ledger["by_fallback"] == 10
    assert ledger["turns"] == 6 + ledger["repairs"]
    assert ledger.fallbacks.keys() <= {"invalid_answer"}
    assert sum(ledger.fallbacks.values()) == sum(row.rules for row in rows.values())
    assert ledger["prompt_tokens"] > 200 * ledger["turns"]  # The example turns are sent.
    assert 0 < ledger["completion_tokens"]
    assert all(captioner.limit.fits(text) for row in rows.values() for text in row.texts)
    assert table({"none": Row(at_once=1)}).count("\n") == 2
