"""Reads a plan out of what a language model wrote, whatever it wrote.

Two forms are read: a JSON object, with text or code fences around it forgiven, and the labelled text of Recaption,
Plan, Generate ("Final split ratio:", then "Regional Prompt:" with the prompts joined by BREAK). Everything else is a
fault, said in one line so that the model can be asked to mend it.

Source: Yang et al. 2024, arXiv:2401.11708. Its released reader stops at the first space after a semicolon, fails when a
label is missing, and drops or repeats cells when the counts differ; this one reads, says so, and refuses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.captions.reading import AnswerFault, json_values
from lit_outpaint.planning.boxes import EDGE_TOLERANCE, RegionBox
from lit_outpaint.planning.grid import MAX_CELLS, Grid, GridError, parse_grid
from lit_outpaint.planning.regions import has_word

MAX_READ_CHARS: Final = 40_000
"""A longer answer is no plan."""
MAX_PROMPT_CHARS: Final = 600
"""Longer than any prompt of 77 tokens."""
MAX_REASONING_CHARS: Final = 4000
"""More of what a model thinks is cut off, not refused."""

PlanCause = Literal["empty", "too_long", "no_plan", "bad_ratio", "bad_boxes", "bad_prompts", "wrong_count"]
"""What is wrong with an answer: nothing in it, too much, neither JSON nor labels that hold a plan, no split ratio,
boxes that are none, prompts that are none, more or fewer prompts than cells."""

_RATIO_LABEL: Final = re.compile(r"(?:final\s+)?split\s+ratio\W{0,4}?\s*[:=]", re.IGNORECASE)
_PROMPTS_LABEL: Final = re.compile(r"regional\s+prompts?\W{0,4}?\s*[:=]", re.IGNORECASE)
_BREAK: Final = re.compile(r"\bBREAK\b")
_WRAPPING: Final = " \t\r\n*`\"'[](){}<>#"


class PlanFault(ValueError):
    """An answer cannot be used.

    Args:
        cause: what is wrong, to count by.
        message: one line, for people and for the model.
    """

    def __init__(self, cause: PlanCause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A plan as a model proposes it: as many boxes as prompts."""

    prompts: tuple[str, ...]
    boxes: tuple[RegionBox, ...]
    """In shares of the picture; boxes of a grid tile it, others may overlap."""
    grid: Grid | None = None
    """Where the boxes are its cells."""
    reasoning: str = ""
    """What the model said on the way."""


_Text = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, str_strip_whitespace=True)

    entities: list[Any] = []
    reasoning: str = ""


class GridAnswer(_Answer):
    """Answer to a question for a grid."""

    entities: list[str] = []
    split_ratio: str
    regional_prompts: list[_Text] = Field(min_length=1)


class _BoxAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, str_strip_whitespace=True)

    prompt: _Text
    box: list[float] = Field(min_length=4, max_length=4)


class BoxesAnswer(_Answer):
    """Answer to a question for boxes around others."""

    entities: list[str] = []
    regions: list[_BoxAnswer] = Field(min_length=1, max_length=MAX_CELLS)


def read_plan_answer(text: str) -> Proposal:
    """The plan in an answer.

    Raises:
        PlanFault: there is none.
    """
    if not text.strip():
        raise PlanFault("empty", "it is empty")
    if len(text) > MAX_READ_CHARS:
        raise PlanFault("too_long", f"it is longer than {MAX_READ_CHARS} characters")
    fault = PlanFault("no_plan", "it holds neither a JSON object with a plan nor the label 'Final split ratio:'")
    try:
        for value in json_values(text):
            for one in value if isinstance(value, list) and len(value) == 1 else [value]:
                if isinstance(one, dict):
                    try:
                        return _from_json(one)
                    except PlanFault as error:
                        fault = error
    except AnswerFault as error:
        fault = PlanFault("no_plan", str(error)) if _is_first(fault) else fault
    except (RecursionError, MemoryError):
        fault = PlanFault("no_plan", "its JSON is nested too deeply")
    if _RATIO_LABEL.search(text) or _PROMPTS_LABEL.search(text):
        try:
            return _from_labels(text)
        except PlanFault as error:
            fault = error if fault.cause == "no_plan" else fault
    raise fault


def _from_json(value: dict[str, Any]) -> Proposal:
    if "regions" not in value and "split_ratio" not in value and "regional_prompts" not in value:
        raise PlanFault("no_plan", "its JSON has neither split_ratio and regional_prompts nor regions")
    try:
        if "regions" in value:
            return _of_boxes(BoxesAnswer.model_validate(_without_bad_extras(value)))
        answer = GridAnswer.model_validate(_without_bad_extras(value))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        cause: PlanCause = "bad_ratio" if where == "split_ratio" else "bad_boxes" if ".box" in where else "bad_prompts"
        raise PlanFault(cause, f"{where}: {problem['msg']}") from None
    return _of_grid(answer.split_ratio, answer.regional_prompts, answer.reasoning)


def _without_bad_extras(value: dict[str, Any]) -> dict[str, Any]:
    """The answer without entities and reasoning that are not as they should be: nothing depends on them."""
    kept = {name: part for name, part in value.items() if name not in ("entities", "reasoning")}
    reasoning = value.get("reasoning")
    return kept | {"reasoning": reasoning if isinstance(reasoning, str) else ""}


def _from_labels(text: str) -> Proposal:
    ratios, prompts = list(_RATIO_LABEL.finditer(text)), list(_PROMPTS_LABEL.finditer(text))
    if not ratios:
        raise PlanFault("no_plan", "the label 'Final split ratio:' is missing")
    if not prompts:
        raise PlanFault("no_plan", "the label 'Regional Prompt:' is missing")
    ratio, prompt = ratios[-1], prompts[-1]
    ratio_text = text[ratio.end() : prompt.start() if prompt.start() > ratio.end() else len(text)]
    prompt_text = text[prompt.end() : ratio.start() if ratio.start() > prompt.end() else len(text)]
    *first, last = _BREAK.split(prompt_text)
    parts = [*first, last.strip().partition("\n\n")[0]]
    return _of_grid(_first_lines(ratio_text), parts, text[: min(ratio.start(), prompt.start())])


def _first_lines(text: str) -> str:
    """The first line with something on it, and those after it while a mark says that the ratio continues."""
    lines = [line.strip(_WRAPPING) for line in text.splitlines()]
    lines = [line for line in lines if line]
    found = ""
    for line in lines:
        found += line
        if not found.endswith((";", ",")):
            break
    return found


def _of_grid(split_ratio: str, prompts: Sequence[str], reasoning: str) -> Proposal:
    try:
        grid = parse_grid(split_ratio.strip(_WRAPPING).removesuffix("."))
    except GridError as error:
        raise PlanFault("bad_ratio", str(error)) from None
    texts = _checked(prompts)
    if len(texts) != len(grid):
        raise PlanFault("wrong_count", f"{grid} has {len(grid)} cells, but there are {len(texts)} regional prompts")
    return Proposal(prompts=texts, boxes=tuple(grid.boxes()), grid=grid, reasoning=_one_line(reasoning))


def _of_boxes(answer: BoxesAnswer) -> Proposal:
    boxes = []
    for number, region in enumerate(answer.regions):
        x0, y0, x1, y1 = region.box
        # Written so that a NaN is refused as well.
        if not all(-EDGE_TOLERANCE <= edge <= 1 + EDGE_TOLERANCE for edge in region.box):
            raise PlanFault("bad_boxes", f"regions.{number}.box: edges must lie between 0 and 1, got {region.box}")
        if not (x0 < x1 and y0 < y1):
            raise PlanFault("bad_boxes", f"regions.{number}.box must be [left, top, right, bottom], got {region.box}")
        boxes.append(RegionBox(x0, y0, x1, y1))
    prompts = _checked([region.prompt for region in answer.regions])
    return Proposal(prompts=prompts, boxes=tuple(boxes), reasoning=_one_line(answer.reasoning))


def _checked(prompts: Sequence[str]) -> tuple[str, ...]:
    texts = tuple(_one_line(prompt).strip(" *`\"'") for prompt in prompts)
    for number, text in enumerate(texts):
        if not has_word(text):
            raise PlanFault("bad_prompts", f"regional prompt {number + 1} holds no word")
        if len(text) > MAX_PROMPT_CHARS:
            raise PlanFault("bad_prompts", f"regional prompt {number + 1} is longer than {MAX_PROMPT_CHARS} characters")
    return texts


def _one_line(text: str) -> str:
    """Printable, encodable, on one line."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_REASONING_CHARS])
    return " ".join(text.split())


def _is_first(fault: PlanFault) -> bool:
    return fault.cause == "no_plan"
