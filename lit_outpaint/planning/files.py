"""Plan files: a `RegionPlan` as JSON, written by a program or by hand.

Either boxes, ``{"prompt": ..., "regions": [{"prompt": ..., "box": [x0, y0, x1, y1]}, ...]}``, or a grid,
``{"prompt": ..., "grid": "1;1,1", "regional_prompts": [...]}``. Fields are those of `Region` and `RegionPlan`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.regions import Level, Region, RegionPlan, Unit, region_ids
from lit_outpaint.system.text import encoded
from lit_outpaint.system.text_files import read_text

PLAN_NAME: Final = "plan.json"
"""Name of a plan file in a run directory."""
MAX_BYTES: Final = 64 << 20
"""A larger file is no plan."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)
_Edge = Annotated[float, Field(allow_inf_nan=False)]


class _RegionEntry(BaseModel):
    model_config = _STRICT

    id: str | None = None
    prompt: str
    box: Annotated[list[_Edge], Field(min_length=4, max_length=4)]
    base_ratio: float | None = None
    negative_prompt: str = ""
    thing: str = ""
    place: str = ""
    level: Level = "surface"


class _PlanEntry(BaseModel):
    model_config = _STRICT

    prompt: str
    regions: list[_RegionEntry] | None = None
    grid: str | None = None
    regional_prompts: list[str] | None = None
    base_ratio: float | None = None
    negative_prompt: str = ""
    unit: Unit = "share"
    period_px: int | None = None


def plan_text(plan: RegionPlan) -> str:
    """A plan as JSON that `parse_plan_text` reads back; a line a region, fields at their defaults left out."""
    head: dict[str, Any] = {"prompt": plan.base_prompt, "unit": plan.unit}
    if plan.period_px is not None:
        head["period_px"] = plan.period_px
    fields = ",\n".join(f"  {json.dumps(name)}: {_json(value)}" for name, value in head.items())
    entries = ",\n".join(f"    {_json(_entry(region))}" for region in plan.regions)
    listed = f"[\n{entries}\n  ]" if entries else "[]"
    return f'{{\n{fields},\n  "regions": {listed}\n}}\n'


def parse_plan_text(text: str, where: str = "the plan") -> RegionPlan:
    """Read a plan from JSON.

    Args:
        text: of the file.
        where: what messages call it, for example the name of the file.

    Raises:
        ValueError: it is none; the line names ``where`` and the field.
    """
    try:
        value = encoded(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} must be JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a JSON object with prompt and regions, or prompt and grid")
    try:
        entry = _PlanEntry.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{where}, {field}: {problem['msg']}") from None
    try:
        return _plan(entry)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def read_plan_file(path: Path) -> RegionPlan:
    """Read a plan file.

    Raises:
        ValueError: it cannot be read, or is none.
    """
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise ValueError(f"a plan file must be at most {MAX_BYTES >> 20} MiB, got {path}")
    return parse_plan_text(read_text(path, "a plan file"), str(path))


def _plan(entry: _PlanEntry) -> RegionPlan:
    if (entry.grid is None) != (entry.regional_prompts is None):
        raise ValueError("grid and regional_prompts must come together, got one of them")
    if entry.grid is not None and entry.regions is not None:
        raise ValueError("regions and grid must not come together; give boxes or a grid")
    if entry.grid is not None and entry.unit != "share":
        raise ValueError(f"unit of a grid must be share, got {entry.unit}; give boxes instead")
    if entry.grid is not None:
        return RegionPlan.from_grid(
            entry.prompt,
            entry.grid,
            entry.regional_prompts or [],
            base_ratio=entry.base_ratio,
            negative_prompt=entry.negative_prompt,
        )
    entries = entry.regions or []
    named = [region.id for region in entries if region.id is not None]
    names = iter(region_ids([region.prompt for region in entries if region.id is None], taken=named))
    regions = tuple(
        Region(
            id=region.id if region.id is not None else next(names),
            box=RegionBox(*region.box),
            prompt=region.prompt,
            base_ratio=entry.base_ratio if region.base_ratio is None else region.base_ratio,
            negative_prompt=region.negative_prompt or entry.negative_prompt,
            thing=region.thing,
            place=region.place,
            level=region.level,
        )
        for region in entries
    )
    return RegionPlan(base_prompt=entry.prompt, regions=regions, unit=entry.unit, period_px=entry.period_px)


def _entry(region: Region) -> dict[str, Any]:
    fields = asdict(region)
    del fields["box"]
    entry = {"id": fields.pop("id"), "prompt": fields.pop("prompt"), "box": [*region.box.as_tuple()]}
    usual = {"base_ratio": None, "level": "surface"}
    return entry | {name: value for name, value in fields.items() if value != usual.get(name, "")}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _no_constant(name: str) -> float:
    raise ValueError(f"numbers must be finite, got {name}")
