"""The captions layer against the real ``transformers serve``."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lit_outpaint.captions.answers import CaptionAnswer
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.chat.local_chat import LocalChat
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.chat.requests import ChatRequest
from lit_outpaint.protocols import Written
from lit_outpaint.testing.chat import build_toy_chat
from lit_outpaint.testing.external_server import running

pytestmark = pytest.mark.slow
SCAPES_LM = Path(__file__).parents[3] / "models" / "scapes" / "lm"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        command = [Path(sys.executable).with_name("transformers"), "serve", "--device", "cpu"]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        # Models are named by their directories.
        with running(command, tmp_path_factory.mktemp("serve") / "log", environment) as url:
            yield url


@pytest.fixture(scope="module")
def nonsense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_chat(tmp_path_factory.mktemp("chat") / "nonsense")


def test_the_served_model_says_what_the_local_one_says(server: str, nonsense: Path) -> None:
    turns = load_prompt("summarise.v1").fill(captions=["a lake", "a wood"])
    request = ChatRequest(messages=turns, schema=CaptionAnswer.model_json_schema(), max_tokens=24)
    over_http = OpenAIChat(str(nonsense), server, temperature=0.0).reply(request)
    in_process = LocalChat(str(nonsense), temperature=0.0).reply(request)
    assert over_http.text == in_process.text
    assert over_http.prompt_tokens == in_process.prompt_tokens
    assert over_http.retries == 0


def test_a_model_that_writes_nonsense_is_survived_and_rules_write_instead(server: str, nonsense: Path) -> None:
    chat = OpenAIChat(str(nonsense), server, temperature=0.0)
    captioner = WithFallback(LanguageModelCaptioner(chat, LanguageModelConfig(max_tokens=24)))
    texts = [*captioner.imagine("a mill by a river", 3), captioner.summarise(["a mill", "a lake at night"])]
    for step in range(4):
        scene = "a wide view at night: a mill, and a lake"
        texts.append(
            captioner.next_local(
                view=None, direction="right", global_caption=scene, previous=["a mill"], seen=[], step=step
            )
        )
    assert {text.writer for text in texts} == {"rules"}
    # Nonsense has no end: it is cut off where the tokens end.
    assert {text.instead_of for text in texts} == {f"openai:{nonsense}: length"}
    assert captioner.ledger.fallbacks == {"length": 6}
    assert (captioner.ledger["turns"], captioner.ledger["repairs"]) == (12, 6)


def test_scapes_lm_answers_through_the_server(server: str) -> None:
    """Of 100 questions at least 95 are answered without a repair and without the rules."""
    # Without a temperature of ours the server samples as the model's own generation config says.
    chat = OpenAIChat(str(SCAPES_LM), server, temperature=None, concurrency=4)
    captioner = WithFallback(LanguageModelCaptioner(chat))
    places = ["a red barn in a meadow", "a blue lake with a lighthouse", "a cactus in the desert", "a car in a town"]
    skies = ["at dawn under a clear sky", "at night under a cloudy sky", "at dusk under a clear sky with mountains"]

    def ask(number: int) -> list[Written]:
        place, sky = places[number % len(places)], skies[number % len(skies)]
        if number % 3 == 0:
            return captioner.imagine(place, 1 + number % 4)
        if number % 3 == 1:
            return [captioner.summarise([place, f"{place} {sky}", places[number // 4 % 4]])]
        step = captioner.next_local(
            view=None,
            direction="right" if number % 2 else "left",
            global_caption=f"a wide view {sky}: {place}",
            previous=[place],
            seen=[],
            step=number,
        )
        return [step]

    with ThreadPoolExecutor(captioner.concurrency) as pool:
        writers = Counter(text.writer for texts in pool.map(ask, range(100)) for text in texts[:1])
    assert captioner.ledger["repairs"] <= 5
    assert writers[captioner.name] >= 95
