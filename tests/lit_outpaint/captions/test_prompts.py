import json
from pathlib import Path

import pytest

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.checks import no_copy
from lit_outpaint.captions.language_model import LanguageModelConfig
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.captions.reading import read_texts
from lit_outpaint.chat.requests import Message

OWN = """You answer with JSON only.
---
To the "left" of "a farm at noon"?
---
{"caption": "two hens on a fence"}
---
To the {direction} of {global_caption}?
"""


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("imagine.v1", "996202620d44308c26737b6a77cf3f15c64dc5cd1ac9b37bb00ace9f54fee540"),
        ("summarise.v1", "fe4f9ee3fe0352a09f2d411c663a5490f06aee194ba001954f8e112afb3998fe"),
        ("next_local.v1", "d1746a9504e5d4eb9f4e62276b7461f132efb39723f07372c7509ba1a078d7c9"),
    ],
)
def test_the_prompts_that_scapes_lm_learnt_stay_as_they_are(name: str, sha256: str) -> None:
    prompt = load_prompt(name)
    assert prompt.sha256 == sha256
    assert [turn.role for turn in prompt.turns] == ["system", "user"]


@pytest.mark.parametrize("name", ["imagine", "summarise", "next_local"])
def test_the_default_prompts_show_answers_that_pass_in_turns_of_their_own(name: str) -> None:
    prompt = LanguageModelConfig().prompt(name)  # type: ignore[arg-type]
    assert prompt.name == f"{name}.v2"
    said = [turn.text for turn in prompt.examples if turn.role == "assistant"]
    assert 2 <= len(said) <= 4
    assert [turn.role for turn in prompt.turns] == ["system", *["user", "assistant"] * len(said), "user"]
    refuse = no_copy(prompt.examples)
    for text in said:
        captions = read_texts(text, CaptionsAnswer if name == "imagine" else CaptionAnswer)
        assert all(len(caption.split()) > 3 and refuse(caption) for caption in captions)
        assert json.loads(text)
    assert not any("..." in turn.text for turn in prompt.turns)


def test_a_prompt_of_ones_own_has_several_turns_and_leaves_arguments_out(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text(OWN, encoding="utf-8")
    path = str(tmp_path / "own.txt")
    prompt = LanguageModelConfig(next_local_prompt=path).prompt("next_local")
    turns = prompt.fill(direction="up", global_caption="a lake", previous=["a boat"], seen=[])
    assert turns[1:3] == (
        Message("user", 'To the "left" of "a farm at noon"?'),
        Message("assistant", '{"caption": "two hens on a fence"}'),
    )
    assert turns[-1] == Message("user", 'To the "up" of "a lake"?')
    assert (prompt.name, len(prompt.examples)) == (path, 2)
    (tmp_path / "bare.txt").write_text("\n" + OWN.partition("\n")[2], encoding="utf-8")
    assert load_prompt(str(tmp_path / "bare.txt")).turns == prompt.turns[1:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("only a system turn", "got 1 turns"),
        ("s\n---\nu\n---\na", "got 3 turns"),
        ("s\n---\nu\n---\n\n---\nu", "empty turn"),
        ("s\n---\nsay {captoin}", "nothing fills captoin"),
    ],
)
def test_a_prompt_that_cannot_work_is_refused_in_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "own.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        LanguageModelConfig(summarise_prompt=str(tmp_path / "own.txt"))
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"must be one of .*imagine\.v2.*, or the path of a \.txt file, got 'imagine'"):
        LanguageModelConfig(imagine_prompt="imagine")


def test_a_model_says_beside_its_weights_how_it_wants_to_be_asked(tmp_path: Path) -> None:
    (tmp_path / "captioner.json").write_text('{"imagine_prompt": "imagine.v1", "max_similarity": 1.0}')
    config = LanguageModelConfig().for_model(str(tmp_path))
    assert (config.imagine_prompt, config.max_similarity, config.seed_per_step) == ("imagine.v1", 1.0, True)
    chosen = LanguageModelConfig(max_similarity=0.2).for_model(str(tmp_path))
    assert (chosen.imagine_prompt, chosen.max_similarity) == ("imagine.v1", 0.2)
    assert LanguageModelConfig().for_model("some/model").max_similarity == 0.6
    for text in ('{"imagine_promt": "imagine.v1"}', "[1]", "{"):
        (tmp_path / "captioner.json").write_text(text)
        with pytest.raises(ValueError, match=r"captioner\.json must hold settings of LanguageModelConfig"):
            LanguageModelConfig().for_model(str(tmp_path))
