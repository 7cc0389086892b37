from pathlib import Path

import pytest

from lit_outpaint.planning.files import plan_text
from lit_outpaint.planning.options import (
    GIVEN,
    PlanOptions,
    plan_from_options,
    planned_from_options,
    with_repeated_prompts,
)
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.planning.rules import RulePlanner

OWN = RegionPlan.from_grid("a red sun above a barn and a tent", "1;1,1", ["a red sun", "a barn"])


def test_rules_plan_when_nothing_is_given() -> None:
    prompt = "a red barn to the left of a blue tent"
    assert planned_from_options(prompt, PlanOptions()) == RulePlanner().plan(prompt)
    assert plan_from_options(prompt, PlanOptions()) == RulePlanner().plan(prompt).plan


def test_a_grid_with_prompts_is_the_plan() -> None:
    options = PlanOptions(regions="1;1,1", regional_prompt=["a red sun", "a barn"])
    assert planned_from_options(OWN.base_prompt, options) == (OWN, GIVEN, "", "")


def test_a_file_is_the_plan_and_the_prompt_may_be_another(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan_text(OWN))
    options = PlanOptions(plan_file=str(file))
    assert plan_from_options("", options) == OWN
    assert plan_from_options("a scene", options).base_prompt == "a scene"


def test_a_planner_plans_around_what_is_given(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(
        '{"prompt": "a red sun above a barn and a tent", "regions": [{"prompt": "a red sun", "box": [0, 0, 1, 0.5]}]}'
    )
    planned = planned_from_options("", PlanOptions(plan_file=str(file), planner=RulePlanner()))
    assert planned.writer == "rules"
    assert [region.prompt for region in planned.plan.regions] == ["a red sun", "a barn", "a tent"]
    file.write_text('{"prompt": "x", "unit": "px"}')
    with pytest.raises(ValueError, match="in px"):
        planned_from_options("", PlanOptions(plan_file=str(file), planner=RulePlanner()))


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="plan_file"):
        PlanOptions(plan_file="a", regions="1", regional_prompt=["b"])
    with pytest.raises(ValueError, match="regional_prompt"):
        PlanOptions(regions="1,1")
    with pytest.raises(ValueError, match="regional_prompt"):
        PlanOptions(regional_prompt=["a"])
    with pytest.raises(ValueError, match=r"2 cells.*got 1"):
        plan_from_options("a scene", PlanOptions(regions="1,1", regional_prompt=["a"]))
    with pytest.raises(ValueError, match="prompt"):
        plan_from_options(" ", PlanOptions())


def test_a_prompt_that_is_given_again_adds_to_the_list() -> None:
    given = ["--regional_prompt", "a", "--regional_prompt=b", "--regions", "1,1"]
    assert with_repeated_prompts(given) == ["--regional_prompt+", "a", "--regional_prompt+=b", "--regions", "1,1"]
