from typing import Any

import pytest

from data_prep.config import ScapesConfig
from data_prep.raw import RawRecord
from data_prep.scapes.captioner import ScapesCaptioner
from data_prep.scapes.captions import local_caption
from data_prep.scapes.world import World
from lit_outpaint.protocols import Captioner, CaptionError

SEED, X = 2000000001, 4321


def _ask(captioner: ScapesCaptioner, direction: str, step: int) -> str:
    told: dict[str, Any] = dict(view=None, global_caption="a lake", previous=[], seen=[])
    return captioner.next_local(direction=direction, step=step, **told).text


def test_each_step_gets_the_true_caption_of_its_window() -> None:
    captioner, world = ScapesCaptioner(SEED, X, steps="right:2,left:1,down:1"), World(SEED)
    assert isinstance(captioner, Captioner)
    truth = [world.facts(X + 64), world.facts(X + 128), world.facts(X - 64), world.facts(X, 64)]
    asked = [_ask(captioner, direction, step) for step, direction in enumerate(("right", "right", "left", "down"))]
    assert asked == [local_caption(facts) for facts in truth]
    assert [text for text, *_ in captioner.imagine("", 2)] == [
        local_caption(world.facts(X + 128)), local_caption(world.facts(X - 128))
    ]  # fmt: skip


def test_the_summary_is_true_of_all_that_the_plan_shows(shards: Any) -> None:
    from data_prep.scapes.shards import Job, place_of
    from lit_outpaint.heldout.evalset import evalset_dir, read_panoramas

    row = read_panoramas(evalset_dir(shards))[0]
    place = place_of(Job("panorama", int(row.key.split("_")[1]), ScapesConfig().seed))
    captioner = ScapesCaptioner(place.world, place.x, steps=f"right:{len(row.steps)}")
    assert captioner.summarise([]).text == row.global_caption
    assert [_ask(captioner, "right", step) for step in range(len(row.steps))] == [s.local_caption for s in row.steps]


def test_in_preparation_it_is_told_the_place_of_each_window() -> None:
    placeless = ScapesCaptioner(steps="right:2,left:2")
    record = RawRecord(
        id=f"world {SEED} at -{X},-128", source="scapes", licence="", local_captions=["a"], local_index=0, annotator=""
    )
    assert placeless.about(record).identity("summarise") == ScapesCaptioner(
        SEED, -X, -128, steps="right:2,left:2"
    ).identity("summarise")
    with pytest.raises(ValueError, match="got no world"):
        placeless.summarise([])
    with pytest.raises(ValueError, match="scapes world alone, not coco"):
        placeless.about(record.model_copy(update={"source": "coco"}))
    with pytest.raises(ValueError, match="called 'world N at X,Y', got 'here'"):
        placeless.about(record.model_copy(update={"id": "here"}))


def test_a_step_that_is_not_of_the_plan_is_refused() -> None:
    captioner = ScapesCaptioner(SEED, X, steps="right:1")
    with pytest.raises(ValueError, match="step 1 goes right, not left"):
        _ask(captioner, "left", 0)
    with pytest.raises(ValueError, match="step 2 goes nowhere, not right"):
        _ask(captioner, "right", 1)
    with pytest.raises(ValueError, match="plans such as right:8,left:4"):
        ScapesCaptioner(SEED, X, steps="to:512x512")
    with pytest.raises(CaptionError, match="cannot look"):
        captioner.describe(None)  # type: ignore[arg-type]


def test_the_identity_tells_places_apart() -> None:
    identities = [
        ScapesCaptioner(seed, x, y, steps=steps).identity("next_local")
        for seed, x, y, steps in (
            (1, 0, 0, "left"),
            (3, 0, 0, "left"),
            (1, 8, 0, "left"),
            (1, 0, 8, "left"),
            (1, 0, 0, "up"),
        )
    ]
    assert len({str(identity) for identity in identities}) == 5
