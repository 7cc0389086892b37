"""``python -m eval compare``: paired differences between runs on the same panoramas and seed, or prompts."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.comparison import (
    Row,
    compared_rows,
    differing_settings,
    paired_section,
    settings_section,
    whole_section,
    why_unpaired,
)
from eval.files import check_out, write_text
from eval.finished import read_runs
from eval.report.tables import Section, tables_markdown

COMPARISON_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Which runs are compared."""

    runs: list[Path] = field(
        metadata={
            "many": "runs",
            "help": "Output directories of eval run, or of compbench; the others are set against the first.",
        }
    )
    out: Path
    """Directory for comparison.json and comparison.md; `eval report` makes a page of the same runs."""

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ValueError(f"compare needs at least two runs, got {len(self.runs)}; name further directories")


def compare(config: CompareConfig, yaml: str = "") -> list[Row]:
    """Compare runs and write the two files.

    Args:
        config: what to do.
        yaml: not used; verbs share a signature.

    Raises:
        ValueError: a run cannot be read, or inputs, seeds or thresholds differ.
    """
    runs = read_runs(config.runs)
    if reason := why_unpaired(runs):
        raise ValueError(reason)
    check_out(config.out)
    rows = compared_rows(runs)
    title = f"Comparison with {runs[0].name}"
    drawn = "with other seeds" if "drawing.seed" in differing_settings(runs) else "with the same seed"
    subtitle = f"{len(runs)} runs on the same {len(runs[0].panoramas)} {runs[0].record.units} {drawn}"
    content = {
        "schema": COMPARISON_VERSION,
        "runs": [{"name": run.name, "directory": str(run.directory)} for run in runs],
        "settings_that_differ": differing_settings(runs),
        "figures": {row.figure.key: _as_json(row) for row in rows},
    }
    told = [settings_section(runs), paired_section(rows, runs), whole_section(rows, runs)]
    meanings = Section("Definitions", defined=[row.figure for row in rows])
    write_text(config.out / "comparison.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(config.out / "comparison.md", tables_markdown(title, subtitle, [*told, meanings]))
    print(tables_markdown(title, subtitle, told))
    print(f"with definitions: {config.out / 'comparison.md'}")
    return rows


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.figure.title,
        "definition": row.figure.definition,
        "unit": row.figure.unit,
        "first": row.first,
        "others": [
            {"run": other.run, "value": other.value}
            | (
                {"difference": None}
                if other.estimate is None
                else {
                    "difference": other.estimate.value,
                    "interval_95": [other.estimate.low, other.estimate.high],
                    "num_units": other.estimate.num_units,
                    "num_items": other.estimate.num_items,
                }
            )
            for other in row.others
        ],
    }
