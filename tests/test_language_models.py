"""What the benchmark of language models counts, with a model whose answers are known."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import language_models, timing
from benchmarks.language_models import STEPS, Row, measure, table
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.testing.models import ScriptedChat
from lit_outpaint.testing.servers import FaultServer

ROOT = Path(__file__).parents[1]


def test_answers_are_counted_by_how_they_came_about(toy_family: Path) -> None:
    surroundings = [json.dumps({"captions": ["a gate in a wall", "a barking dog", "two green hills"]})]
    echo, bakery = '{"caption": "a man in a blue shirt rides a bicycle past a bakery"}', '{"caption": "a bakery"}'
    things = ["boat", "castle", "cow", "bench", "fountain", "garden", "orchard", "pond", "statue", "tent"]
    walked = [json.dumps({"caption": f"a {things[step % len(things)]}"}) for step in range(2 * STEPS)]
    replies = [*surroundings, "no idea", bakery, echo, bakery, *walked]
    config = LanguageModelConfig(tokenizer=str(toy_family / "tokenizer"))
    rows = measure(LanguageModelCaptioner(ScriptedChat(replies), config), cases=1, walks=2)
    told = {name: (row.at_once, row.repaired, row.rules, row.echoes) for name, row in rows.items()}
    assert told == {
        "imagine": (1, 0, 0, 0),
        "summarise": (0, 1, 0, 0),
        "next_local": (0, 1, 0, 1),
        "walk": (2 * STEPS, 0, 0, 2 * (STEPS - len(things))),
    }
    assert rows["walk"].figures()["different"] == f"{len(things)} of {STEPS}"
    *_, last = table({"none": Row(at_once=3, repaired=1)}).splitlines()
    assert last == "| none | 3 | 1 | 0 | 75.0% | 0.0% | 0 of 0 |"


def _main(monkeypatch: pytest.MonkeyPatch, place: Path, *arguments: str) -> dict[str, str]:
    """Run the benchmark on one caption; the model that each report in ``place`` is about."""
    monkeypatch.setattr(sys, "argv", ["language_models", "--cases", "1", "--walks", "0", *arguments])
    monkeypatch.setattr(timing, "REPORTS", place)  # Those of the repository stay.
    language_models.main()
    return {path.name: json.loads(path.read_text())["settings"]["model"] for path in place.iterdir()}


def test_reports_are_filed_under_the_model_that_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _main(monkeypatch, tmp_path, "--path", str(ROOT / "models/scapes/lm")) == {"language_models_lm.json": "lm"}
    with FaultServer() as server:
        hub = _main(monkeypatch, tmp_path, "--model", "Qwen/Qwen2.5-0.5B", "--base_url", server.url)
        assert hub["language_models_Qwen_Qwen2.5-0.5B.json"] == "Qwen/Qwen2.5-0.5B"
        assert _main(monkeypatch, tmp_path, "--base_url", server.url)["language_models_smollm2.json"] == "smollm2"
    with pytest.raises(SystemExit, match="2"):
        _main(monkeypatch, tmp_path, "--path", "models/tiny", "--model", "smollm2")
