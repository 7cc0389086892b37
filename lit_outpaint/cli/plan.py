"""``python -m lit_outpaint plan``: recaption and plan a picture, print the plan and draw it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from lit_outpaint.chat.ledger import Prices, ledger_of
from lit_outpaint.planning.files import PLAN_NAME, plan_text
from lit_outpaint.planning.options import PlanOptions, planned_from_options, with_repeated_prompts
from lit_outpaint.planning.shown import draw_plan, plan_table
from lit_outpaint.protocols import Planned
from lit_outpaint.system.files import make_out, written_whole
from lit_outpaint.system.one_line import one_line

PICTURE_NAME = "plan.png"
"""Name of the picture of a plan."""


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """What to plan, and where to."""

    prompt: str | None = None
    """The whole picture. With --plan_file it may be left out; the file's own prompt is then taken."""
    out: str | None = None
    """Directory for plan.json, which --plan_file of other verbs reads, and plan.png."""


def build_parser() -> ArgumentParser:
    """The parser of the verb; help is generated from the configs."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="python -m lit_outpaint plan",
        description="Say what stands where in a picture, before it is drawn.",
        exit_on_error=False,
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of the settings below.")
    parser.add_class_arguments(PlanConfig)
    parser.add_class_arguments(PlanOptions)
    parser.add_class_arguments(Prices)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb: 0 done, 2 the input was at fault (one line on stderr)."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        parser = build_parser()
        settings = parser.parse_args(with_repeated_prompts(sys.argv[1:] if argv is None else argv))
        return _plan(parser.instantiate(settings))
    except (ValueError, FileNotFoundError, PermissionError, ArgumentError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # --help
        return int(stop.code or 0)


def _plan(settings: Namespace) -> int:
    directory = _new_directory(settings.out)
    options = PlanOptions(**{field.name: settings[field.name] for field in fields(PlanOptions)})
    planned = planned_from_options(settings.prompt or "", options)
    picture = draw_plan(planned.plan)
    make_out(directory)
    with written_whole(directory / PICTURE_NAME) as draft:
        picture.save(draft, format="PNG")
    with written_whole(directory / PLAN_NAME) as draft:
        draft.write_text(plan_text(planned.plan), encoding="utf-8")
    _say(planned, directory)
    cost = ledger_of(options.planner).text(Prices(**{f.name: settings[f.name] for f in fields(Prices)}), "plans")
    if cost:
        print(cost)
    return 0


def _new_directory(out: str | None) -> Path:
    if out is None:
        raise ValueError("--out must name a directory for the plan, got none; as in --out runs/plan")
    directory = Path(out)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"--out must be a directory, {out} is a file; give another one")
    if (directory / PLAN_NAME).exists():
        raise ValueError(f"--out must not hold a plan yet, {directory / PLAN_NAME} is there; give another directory")
    return directory


def _say(planned: Planned, directory: Path) -> None:
    if planned.reasoning:
        print(f"{planned.writer}: {planned.reasoning}")
    print(plan_table(planned.plan))
    instead = f" instead of {planned.instead_of}" if planned.instead_of else ""
    print(f"planned by {planned.writer}{instead}; see {directory / PICTURE_NAME} and {directory / PLAN_NAME}")
