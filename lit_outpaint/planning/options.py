"""Where the regions of a picture come from, as every command line takes it: a file, a grid, or a planner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lit_outpaint.planning.files import read_plan_file
from lit_outpaint.planning.regions import RegionPlan, has_word
from lit_outpaint.planning.rules import RulePlanner
from lit_outpaint.protocols import Planned, Planner

GIVEN = "user"
"""Who planned, in records, where the user did."""


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Which regions; a planner of rules makes them from the prompt when nothing is given."""

    plan_file: str | None = None
    """JSON file with regions, as the verb plan writes it; boxes with prompts, or a grid."""
    regions: str | None = None
    """Division of the picture, instead of a file: rows parted by semicolons, in each its height and the widths of its
    columns, as in 1;2,1,1; without a semicolon the widths of one row, as in 1,1."""
    regional_prompt: list[str] | None = None
    """With --regions: what a cell shows; give it once for each cell, row by row from left to right."""
    planner: Planner | None = None
    """Who plans, by class_path: lit_outpaint.planning.rules.RulePlanner (the default), a language model by
    lit_outpaint.planning.planner.LanguageModelPlanner. With regions of your own it plans around them."""

    def __post_init__(self) -> None:
        if self.plan_file is not None and self.regions is not None:
            raise ValueError("regions come from --plan_file or from --regions, got both; leave one out")
        if (self.regions is None) != (self.regional_prompt is None):
            raise ValueError("--regions must come with a --regional_prompt for each cell, got one without the other")


def planned_from_options(prompt: str, options: PlanOptions) -> Planned:
    """The plan that the options ask for, and who made it.

    Args:
        prompt: the whole picture; with a plan file it may be empty, the file's own prompt is then taken.
        options: where the regions come from.

    Raises:
        ValueError: the options or the file give no plan; the line names the option, or the file and the field.
    """
    own = own_plan(prompt, options)
    if own is None:
        if not has_word(prompt):
            raise ValueError(f"--prompt must hold a word, got {prompt!r}; say what the picture shows")
        return (options.planner or RulePlanner()).plan(prompt)
    if options.planner is None:
        return Planned(own, GIVEN)
    if own.unit != "share":
        raise ValueError(f"a planner plans around boxes in shares, {options.plan_file} has them in px; leave one out")
    return options.planner.plan(own.base_prompt, own.regions)


def plan_from_options(prompt: str, options: PlanOptions) -> RegionPlan:
    """The plan of `planned_from_options` alone."""
    return planned_from_options(prompt, options).plan


def with_repeated_prompts(arguments: Sequence[str]) -> list[str]:
    """A command line in which each ``--regional_prompt`` adds one to the list, in the parser's own way of saying so."""
    name = "--regional_prompt"
    return [
        f"{name}+{argument.removeprefix(name)}" if argument == name or argument.startswith(f"{name}=") else argument
        for argument in arguments
    ]


def own_plan(prompt: str, options: PlanOptions) -> RegionPlan | None:
    """The regions that the user gives; None when there are none."""
    if options.plan_file is not None:
        plan = read_plan_file(Path(options.plan_file))
        return replace(plan, base_prompt=prompt) if has_word(prompt) else plan
    if options.regions is not None:
        return RegionPlan.from_grid(prompt, options.regions, options.regional_prompt or [])
    return None
