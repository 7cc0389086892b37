"""The language model that ships: loaded by stock transformers, it answers and carries what captions say."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from data_prep.scapes.lm_corpus import SKY, UNDERGROUND, read_local
from data_prep.scapes.lm_eval import LanguageModel
from data_prep.scapes.lm_model import ASKED_AS
from data_prep.scapes.lm_scores import named
from lit_outpaint.captions.language_model import LanguageModelCaptioner
from lit_outpaint.chat.local_chat import LocalChat
from lit_outpaint.chat.openai_chat import OpenAIChat

MODELS = Path(__file__).parents[3] / "models" / "scapes"
MAX_PARAMETERS, MAX_BYTES = 2_500_000, 5 * 2**20

SCENES = [
    ["a red barn in a meadow", "a meadow with a red barn at dawn under a clear sky", "a view of a meadow: a red barn"],
    ["a cactus in the desert at night under a cloudy sky with mountains behind", "there is a cactus in the desert"],
    ["a lake", "a quiet view of a lake", "a blue lake at sunset under a cloudy sky", "just a blue lake", "a grey town"],
    ["a forest with a pine tree", "a forest by day under a clear sky with mountains behind", "a blue car in a town"],
    ["two igloos in a snowfield in the night under a clear sky", "a snowfield with an igloo", "a boulder underground"],
    ["a red house in a town in daylight under a cloudy sky", "a town: a red house", "a red sailboat on a lake"],
]
"""Captions of a window and of what lies around it, put down by hand; no two scenes share their attributes."""


@pytest.fixture(scope="module")
def shipped() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(MODELS, greedy=False)


def test_it_is_small(shipped: LanguageModel) -> None:
    assert sum(weight.numel() for weight in shipped.model.parameters()) <= MAX_PARAMETERS
    assert sum(path.stat().st_size for path in (MODELS / "lm").iterdir()) <= MAX_BYTES


def test_captioners_ask_it_as_it_learnt() -> None:
    for chat in (LocalChat(str(MODELS / "lm")), OpenAIChat(str(MODELS / "lm"), "http://127.0.0.1:9/v1")):
        config = LanguageModelCaptioner(chat).config
        assert {name: getattr(config, name) for name in ASKED_AS} == ASKED_AS


def test_summaries_carry_time_weather_and_mountains(shipped: LanguageModel) -> None:
    orders: list[Sequence[str]] = [scene[turn:] + scene[:turn] for scene in SCENES for turn in range(2)]
    answers = shipped.ask("summarise", [{"captions": captions} for captions in orders])
    assert [answer is not None for answer in answers] == [True] * len(orders)
    assert [named(answer or []) for answer in answers] == [named(captions) for captions in orders]


def test_it_imagines_as_many_places_as_it_is_asked_for(shipped: LanguageModel) -> None:
    cases: list[dict[str, object]] = [{"caption": scene[0], "n": n} for n in (1, 2, 3, 4) for scene in SCENES]
    answers = shipped.ask("imagine", cases)
    assert sum(answer is not None for answer in answers) >= len(cases) - 1
    texts = [text for answer in answers for text in answer or []]
    assert all(read_local(text).places for text in texts)
    assert named(texts) == {"time": None, "weather": None, "mountains": None}
    assert len(set(texts)) > len(texts) / 2


def test_it_looks_up_to_the_sky_and_down_to_the_underground(shipped: LanguageModel) -> None:
    asked = [(side, scene[0]) for side in ("up", "down") for scene in SCENES]
    cases: list[dict[str, object]] = [
        {"global_caption": f"a wide view by day: {text}", "direction": side, "previous": [text], "seen": []}
        for side, text in asked
    ]
    answers = shipped.ask("next_local", cases)
    places = [read_local(answer[0]).places if answer else () for answer in answers]
    assert places == [(SKY if side == "up" else UNDERGROUND,) for side, _ in asked]
