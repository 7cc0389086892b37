import json
from typing import Any

import numpy as np
import pytest

from lit_outpaint.chat.requests import ChatError
from lit_outpaint.drawing.chat_judge import ModelJudge
from lit_outpaint.drawing.judging import PictureJudge, Wish, judge
from lit_outpaint.planning.placement import placements
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.planning.rules import RulePlanner
from lit_outpaint.testing.models import ScriptedChat

PICTURES = np.zeros((1, 32, 32, 3), dtype=np.uint8)
GOOD: dict[str, Any] = {
    "things": [{"kind": "Barn", "colour": "red", "box": [0.1, 0.4, 0.3, 0.7]}],
    "scenery": ["meadows", "Night"],
}


def test_it_sees_what_the_model_says_and_compares_it_with_a_plan() -> None:
    chat = ScriptedChat([json.dumps(GOOD)], sees=True)
    steering = ModelJudge(chat)
    assert isinstance(steering, PictureJudge)
    (look,) = steering.look(PICTURES)
    assert [(thing.kind, thing.colour, thing.box) for thing in look.things] == [("barn", "red", (0.1, 0.4, 0.3, 0.7))]
    assert look.scenery == {"meadow", "night"}
    assert chat.requests[0].image is not None
    plan = RulePlanner().plan("a red barn to the left of a blue tent in a meadow").plan
    verdict = judge(steering.wish(plan, placements(plan)), look)
    assert [finding.verdict for finding in verdict.findings] == ["right", "missing"]
    assert verdict.missing_scenery == ()


@pytest.mark.parametrize(
    ("prompt", "kind", "colour"),
    [
        ("a rustic barn under a red sky", "barn", None),
        ("a small grey tent, weathered and old", "tent", "grey"),
        ("a man with a red hat", "man", None),
        ("a bright gold balloon", "balloon", "golden"),
    ],
)
def test_a_region_is_of_its_first_thing_in_that_things_colour(prompt: str, kind: str, colour: str | None) -> None:
    wish = ModelJudge(ScriptedChat([""], sees=True)).wish(RegionPlan.from_grid("a picture", "1", [prompt]), {})
    assert [(thing.kind, thing.colour) for thing in wish.things] == [(kind, colour)]


def test_scenery_of_a_side_is_no_thing() -> None:
    plan = RulePlanner().plan("a forest on the left and a desert on the right").plan
    wish = ModelJudge(ScriptedChat([""], sees=True)).wish(plan, placements(plan))
    assert wish == Wish((), frozenset({"forest", "desert"}))


def test_a_colour_has_one_name_however_it_is_written() -> None:
    answer = {"things": [{"kind": "cat", "colour": "Gray", "box": [0, 0, 1, 1]}], "scenery": []}
    steering = ModelJudge(ScriptedChat([json.dumps(answer)], sees=True))
    plan = RulePlanner().plan("a grey cat").plan
    assert judge(steering.wish(plan, placements(plan)), steering.look(PICTURES)[0]).agrees


def test_the_record_tells_whom_was_asked_what() -> None:
    assert ModelJudge(ScriptedChat([""], sees=True)).identity().keys() >= {"prompt", "model", "max_tokens"}


def test_an_answer_that_cannot_be_used_is_asked_for_again_once() -> None:
    steering = ModelJudge(ScriptedChat(["I see a barn.", f"```json\n{json.dumps(GOOD)}\n```"], sees=True))
    (look,) = steering.look(PICTURES)
    assert [thing.kind for thing in look.things] == ["barn"]
    assert not look.fault


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "<html>502</html>",
        '{"things": [{"kind": "barn"',
        '{"things": "many", "scenery": []}',
        json.dumps({**GOOD, "things": [{"kind": "barn", "box": [0, 0, 5, 5]}]}),
        json.dumps({**GOOD, "things": [{"kind": "barn", "box": [0, 0, float("nan"), 1]}]}),
        json.dumps({**GOOD, "things": [{"kind": " ", "box": [0, 0, 1, 1]}]}),
        "[" * 5000,
        ChatError("server", "the server is down"),
    ],
)
def test_no_answer_breaks_it_or_passes_silently(reply: str | ChatError) -> None:
    (look,) = ModelJudge(ScriptedChat([reply], sees=True)).look(PICTURES)
    assert look.things == ()
    assert look.fault
    verdict = judge(ModelJudge(ScriptedChat([reply], sees=True)).wish(RulePlanner().plan("a barn").plan, {}), look)
    assert verdict.score == 0
    assert not verdict.agrees


def test_a_model_that_takes_no_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="takes pictures"):
        ModelJudge(ScriptedChat([""], sees=False))
