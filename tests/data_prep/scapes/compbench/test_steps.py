import random
from collections import Counter

import numpy as np
import pytest

from data_prep.scapes.compbench.made import Made
from data_prep.scapes.compbench.prompts import Staged, make_prompts
from data_prep.scapes.compbench.steps import STRIDE, as_step
from data_prep.scapes.staging import Seen, stage
from data_prep.scapes.world import WINDOW
from lit_outpaint.data.prompts import CATEGORIES, Prompt

AWAY = {"left": (STRIDE, 0), "right": (-STRIDE, 0), "up": (0, STRIDE), "down": (0, -STRIDE)}


@pytest.fixture(scope="module")
def rows() -> list[Staged]:
    return make_prompts(0, 24, per_step=True)


def test_every_category_has_its_steps_and_a_longer_file_begins_with_a_shorter_one(rows: list[Staged]) -> None:
    assert Counter(row.prompt.category for row in rows) == dict.fromkeys(CATEGORIES, 24)
    assert {row.prompt.step.direction for row in rows if row.prompt.step} >= {"left", "right", "down"}
    assert make_prompts(0, 5, ["spatial"], per_step=True) == [r for r in rows if r.prompt.category == "spatial"][:5]


def test_all_that_is_asked_for_stands_in_the_new_strip(rows: list[Staged]) -> None:
    for row in rows:
        assert row.step is not None
        dx, dy = AWAY[row.step.direction]
        world = row.step.scene.world()
        assert not world.facts(dx, row.step.y + dy).objects, row.prompt.id
        assert not world.labels(dx, row.step.y + dy).kind.any(), row.prompt.id
        after = world.facts(0, row.step.y)
        assert len(after.objects) == len(row.step.scene.things)


def test_a_step_up_has_the_things_of_the_sky_in_its_strip() -> None:
    rng = random.Random(0)
    scene = stage(rng, "sky", [Seen("balloon", "red"), Seen("balloon", "blue")])
    step = as_step(rng, Made("two balloons", (), scene))
    assert step is not None
    assert step[1].direction == "up"
    strip = step[1].scene.world().facts(0, step[1].y, WINDOW, STRIDE)
    assert [thing.colour for thing in strip.objects] == ["red", "blue"]


def test_the_known_half_is_the_same_before_and_after_the_step(rows: list[Staged]) -> None:
    for row in rows[::12]:
        assert row.step is not None
        before, after = row.step.render_known(), row.step.render()
        dx, dy = AWAY[row.step.direction]
        here = np.s_[max(dy, 0) : WINDOW + min(dy, 0), max(dx, 0) : WINDOW + min(dx, 0)]
        there = np.s_[max(-dy, 0) : WINDOW + min(-dy, 0), max(-dx, 0) : WINDOW + min(-dx, 0)]
        # A thing whose outline ends at the edge of a window is smoothed otherwise there.
        assert (after[here] != before[there]).any(axis=-1).mean() < 1e-3


def test_prompts_of_a_pair_grow_to_the_same_side(rows: list[Staged]) -> None:
    sides: dict[str, set[object]] = {}
    for row in rows:
        if row.prompt.pair and row.prompt.step:
            sides.setdefault(row.prompt.pair, set()).add(row.prompt.step.direction)
    assert sides
    assert all(len(side) == 1 for side in sides.values())


def test_the_caption_of_the_scene_says_nothing_of_the_things(rows: list[Staged]) -> None:
    for row in rows:
        assert row.prompt.step is not None
        assert not [t.kind for t in row.scene.things if t.kind in row.prompt.step.global_caption]


def test_a_prompt_without_a_step_is_written_as_before(rows: list[Staged]) -> None:
    prompt = make_prompts(0, 1, ["scene"])[0].prompt
    assert "step" not in prompt.line()
    assert Prompt.model_validate_json(rows[0].prompt.line()) == rows[0].prompt
