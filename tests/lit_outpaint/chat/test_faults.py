"""The whole layer against a server that misbehaves in every way at once."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.protocols import Written
from lit_outpaint.testing.servers import FaultServer

# Half of what is served is a fault; the costly ones (seconds, megabytes) come less often.
WEIGHTS = {
    "good": 60,
    "rate_limit": 8,
    "error": 8,
    "half_body": 5,
    "reset": 5,
    "refused": 3,
    "half_json": 8,
    "wrong_schema": 8,
    "blank": 4,
    "empty": 4,
    "injection": 4,
    "huge": 1,
    "huge_error": 1,
    "slow": 1,
}


@pytest.mark.parametrize("num_answers", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_mixed_faults_break_nothing_and_every_fallback_is_told_and_counted(
    num_answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    draw = random.Random(0)
    weights = WEIGHTS if num_answers >= 1000 else WEIGHTS | {"slow": 0}

    def choose(request: dict[str, Any]) -> str:
        return draw.choices(list(weights), list(weights.values()))[0]

    with FaultServer(choose, slow_s=5.0) as server:
        chat: dict[str, Any] = {"concurrency": 16, "first_wait_s": 0.01, "max_retries": 1, "timeout_s": 4.0}
        captioner = WithFallback(LanguageModelCaptioner(OpenAIChat("m", server.url, **chat)))

        def call(number: int) -> list[Written]:
            caption = f"a place with {number} trees"
            if number % 3 == 0:
                return captioner.imagine(caption, 2)
            if number % 3 == 1:
                return [captioner.summarise([caption, "a lake at dusk"])]
            previous = [caption]
            scene = "a wide view at dusk: a lake, and a wood"
            return [
                captioner.next_local(
                    view=None, direction="left", global_caption=scene, previous=previous, seen=[], step=number
                )
            ]

        ends: list[list[Written]] = []
        with ThreadPoolExecutor(16) as pool:
            while len(server.kinds) < num_answers:
                ends += pool.map(call, range(len(ends), len(ends) + 50))

    served, ledger = Counter(server.kinds), captioner.ledger
    assert num_answers < 1000 or served.keys() == WEIGHTS.keys()
    assert all(written.text for end in ends for written in end)
    # Of a list rules write what is missing, behind what was kept.
    told = [end[-1].instead_of for end in ends if end[-1].instead_of]
    for written in (written for end in ends for written in end):
        assert (written.writer == "rules") == bool(written.instead_of)
        assert written.writer in ("rules", "openai:m")
    assert Counter(what.removeprefix("openai:m: ") for what in told) == ledger.fallbacks
    assert 0 < len(told) < len(ends) / 2
    # Every answer of the server is accounted for: a turn with the model, or a request that was sent again.
    assert len(server.requests) == ledger["turns"] + ledger["retries"]
    assert ledger["repairs"] > 0
    assert ledger.fallbacks["refused"] == served["refused"]
    assert 0 < ledger.fallbacks["too_long"] <= served["blank"] + served["huge"]
