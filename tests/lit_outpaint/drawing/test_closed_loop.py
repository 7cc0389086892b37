from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.closed_loop import ClosedLoopMethod, Round, _Picture, _repair
from lit_outpaint.drawing.edit_operations import Edit, EditRules, Seen, Wanted
from lit_outpaint.drawing.inpainting import Inpainter, Repairer
from lit_outpaint.drawing.judging import Look, Wish, judge
from lit_outpaint.drawing.loop_config import LoopConfig
from lit_outpaint.drawing.methods import Drawn
from lit_outpaint.drawing.rpg import RpgMethod
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.pipeline import load_pipeline
from lit_outpaint.planning.options import PlanOptions
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.testing.judges import BrightnessJudge
from lit_outpaint.testing.models import build_toy_pipeline
from lit_outpaint.text_to_image import load_text_to_image

SAMPLING = Sampling(num_inference_steps=2)
QUARTERS = PlanOptions(regions="1,1,1;1,1,1", regional_prompt=["a barn", "a tent", "a lake", "a boat"])
PROMPTS = ["a barn, a tent, a lake and a boat", "a meadow with things", "a desert with things"]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    family = tmp_path_factory.mktemp("family")
    build_toy_pipeline(family)
    return family


@pytest.fixture(scope="module")
def method(family: Path) -> RpgMethod:
    return RpgMethod(load_text_to_image(family), SAMPLING, QUARTERS)


@pytest.fixture(scope="module")
def repairer(family: Path) -> Inpainter:
    return Inpainter(load_pipeline(family / "outpaint"), SAMPLING, RegionalConfig())


@pytest.fixture(scope="module")
def level(method: RpgMethod) -> float:
    """Half of the quarters of first pictures are brighter."""
    pixels = method.draw(PROMPTS, noise()).pixels.astype(float)
    half = pixels.shape[1] // 2
    return float(np.median(pixels.reshape(len(PROMPTS), 2, half, 2, half, 3).mean(axis=(2, 4, 5))))


def noise() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in range(len(PROMPTS))]


def run(method: RpgMethod, repairer: Repairer | None, level: float, config: LoopConfig) -> Drawn:
    judge = BrightnessJudge(level=level)
    return ClosedLoopMethod(method, repairer, judge, BrightnessJudge(level=level, name="other"), config).draw(
        PROMPTS, noise()
    )


def test_no_rounds_take_the_first_picture(method: RpgMethod, repairer: Inpainter, level: float) -> None:
    drawn = run(method, repairer, level, LoopConfig(rounds=0))
    assert np.array_equal(drawn.pixels, method.draw(PROMPTS, noise()).pixels)
    assert [len(notes["rounds"]) for notes in drawn.notes] == [1, 1, 1]


def test_each_round_edits_or_draws_again_and_only_what_is_better_is_kept(
    method: RpgMethod, repairer: Inpainter, level: float
) -> None:
    drawn = run(method, repairer, level, LoopConfig(rounds=3, max_edited=1.0, edits=EditRules(margin=0.0)))
    actions = set()
    for pixels, notes, others in zip(drawn.pixels, drawn.notes, drawn.others, strict=True):
        rounds = notes["rounds"]
        best, kept = -1.0, others["round0"]
        for number, one in enumerate(rounds):
            assert one["kept"] == (one["score"] > best)
            actions.add(one["action"])
            if one["action"] == "edit":
                edited = {tuple(box) for edit in one["edits"] for box in edit["boxes"]}
                assert_only_boxes_change(kept, others[f"round{number}"], edited)
            if one["kept"]:
                best, kept = one["score"], others[f"round{number}"]
        assert np.array_equal(pixels, kept)
        assert len(rounds) == 4 or rounds[-1]["score"] == 1
        assert notes["score"] == best >= notes["first_score"]
    assert {"draw", "edit"} <= actions


def assert_only_boxes_change(
    before: np.ndarray, after: np.ndarray, boxes: set[tuple[float, float, float, float]]
) -> None:
    """Known pixels stay bit for bit, and something changes."""
    height, width = before.shape[:2]
    inside = np.zeros((height, width), dtype=bool)
    for left, top, right, bottom in boxes:
        inside[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    assert np.array_equal(before[~inside], after[~inside])
    assert not np.array_equal(before[inside], after[inside])


def test_the_best_of_as_many_drawings_stands_beside(method: RpgMethod, level: float) -> None:
    """Without a repairer the loop is the best of its drawings itself."""
    drawn = run(method, None, level, LoopConfig(rounds=2))
    for pixels, notes, others in zip(drawn.pixels, drawn.notes, drawn.others, strict=True):
        assert {one["action"] for one in notes["rounds"]} <= {"draw", "redraw"}
        assert np.array_equal(others["best_of"], pixels)
        assert notes["best_of_score"] == notes["score"]
    alone = run(method, None, level, LoopConfig(rounds=2, beside=False))
    assert np.array_equal(alone.pixels, drawn.pixels)
    assert "best_of_score" not in alone.notes[0]


def test_a_picture_does_not_depend_on_its_batch(method: RpgMethod, repairer: Inpainter, level: float) -> None:
    config = LoopConfig(rounds=2, beside=False)
    together = run(method, repairer, level, config)
    loop = ClosedLoopMethod(method, repairer, BrightnessJudge(level=level), None, config)
    alone = loop.draw(PROMPTS[1:2], noise()[1:2])
    assert np.abs(alone.pixels[0].astype(int) - together.pixels[1]).max() <= 1
    assert [one["action"] for one in alone.notes[0]["rounds"]] == [one["action"] for one in together.notes[1]["rounds"]]


@pytest.mark.parametrize(("name", "value"), [("rounds", -1), ("max_edited", 0.0), ("max_edited", 1.5)])
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        LoopConfig(**{name: value})


def _fitting(wish: Wish, seen: tuple[Seen, ...], config: LoopConfig, method: RpgMethod) -> tuple[list[str], np.ndarray]:
    """What a loop would edit in a picture of which a judge sees this, and where, in cells."""
    judgement = judge(wish, Look(seen), config.edits)
    first = Round(action="draw", pixels=np.zeros((64, 64, 3), dtype=np.uint8), judgement=judgement)
    plan = RegionPlan.from_grid("a picture", "1", ["a barn"])
    edits, mask = ClosedLoopMethod(method, None, BrightnessJudge(), None, config)._fitting(
        _Picture(plan, wish, 0, [first])
    )
    return [f"{edit.operation} {edit.thing}" for edit in edits], mask


def test_an_edit_inside_the_mask_of_another_is_made_with_it_and_one_that_waits_is_spared(method: RpgMethod) -> None:
    barn = Wanted(id="a-barn", kind="barn", box=(0.0, 0.0, 0.5, 1.0))
    tent = Wanted(id="a-tent", kind="tent", colour="red", box=(0.5, 0.0, 1.0, 1.0))
    blue = Seen(kind="tent", colour="blue", box=(0.125, 0.5, 0.25, 0.75), share=0.03)
    edits, mask = _fitting(Wish((barn, tent)), (blue,), LoopConfig(max_edited=0.7), method)
    assert edits == ["add a-barn", "modify a-tent"]
    assert mask[:, :4].all()
    # On the border of what may be edited: the barn is added around the tent, which waits.
    half, beside = LoopConfig(max_edited=0.5, edits=EditRules(margin=0.0)), replace(blue, box=(0.375, 0.5, 0.625, 0.75))
    edits, mask = _fitting(Wish((barn, tent)), (beside,), half, method)
    assert edits == ["add a-barn"]
    assert mask.sum() == 4 * 8 - 2
    assert not mask[4:6, 3].any()


def test_guidance_is_not_pushed_away_from_what_is_drawn(method: RpgMethod) -> None:
    plan = RegionPlan.from_grid("a red barn", "1", ["a red barn"])
    wish = Wish((Wanted(id=plan.regions[0].id, kind="barn", colour="red"),))
    mask = np.ones((8, 8), dtype=bool)
    add = Edit("add", ((0.0, 0.0, 1.0, 1.0),), plan.regions[0].id)
    gone = [
        Edit("remove", ((0.0, 0.0, 1.0, 1.0),), kind, colour)
        for kind, colour in (("barn", "blue"), ("tent", "blue"), ("fossil", None))
    ]
    assert _repair(plan, wish, [add, *gone], mask, method).negative_caption == "a blue tent, a fossil"


def test_edits_that_do_not_fit_wait_for_the_next_round(method: RpgMethod, repairer: Inpainter, level: float) -> None:
    """Each thing fills a quarter of the picture, so that no more than one is edited at once."""
    config = LoopConfig(rounds=2, max_edited=0.3, beside=False, edits=EditRules(margin=0.0))
    drawn = run(method, repairer, level, config)
    edits = [one["edits"] for notes in drawn.notes for one in notes["rounds"] if one["action"] == "edit"]
    assert edits
    assert {len(edited) for edited in edits} == {1}
