"""What a run leaves in its directory: numbers as JSON and Markdown, the report, and the panoramas it drew."""

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image

from eval.figures import Figure, curve_rows, definitions, markdown_rows, markdown_table, missed_line, not_computed_lines
from eval.files import CAPTIONS_NAME, METRICS_NAME, PICTURES_NAME, REAL_NAME, write_text
from eval.finished import METRICS_VERSION, picture_path
from eval.report.page import Page, render
from lit_outpaint.heldout.walks import Pixels, Walk
from lit_outpaint.system.files import written_whole
from lit_outpaint.system.text_files import json_lines

MADE_BY = "eval run"
"""Says in captions.jsonl whose pictures its rows name, which another run in their place removes."""
TABLE_NAME, PAGE_NAME = "metrics.md", "report.html"
_PACKAGES = ("lit-outpaint", "torch", "diffusers", "transformers", "open-clip-torch")


def provenance(**known: object) -> dict[str, str]:
    """How a run was made: what is known, the command, and the versions of what did the work."""
    facts = {name: str(value) for name, value in known.items()}
    facts["command"] = "python -m eval " + shlex.join(sys.argv[1:])
    facts["python"] = platform.python_version()
    facts |= {package: _version(package) for package in _PACKAGES}
    return facts


def write_numbers(
    out: Path, title: str, figures: Sequence[Figure], made: Mapping[str, str], more: Mapping[str, Any] | None = None
) -> None:
    """Write ``metrics.json``.

    Args:
        out: the directory, see ``eval.files.check_out``.
        title: of the report.
        figures: what was scored.
        made: how, see `provenance`.
        more: further keys.
    """
    metrics = {
        "schema": METRICS_VERSION,
        "title": title,
        "figures": {figure.key: figure.as_json() for figure in figures},
        "made": dict(made),
        **(more or {}),
    }
    write_text(out / METRICS_NAME, json.dumps(metrics, indent=2, allow_nan=False) + "\n")


def write_page(out: Path, page: Page) -> None:
    """Write ``metrics.md`` and ``report.html``.

    Args:
        out: the directory, see ``eval.files.check_out``.
        page: the report; its figures make the Markdown too.
    """
    write_text(out / TABLE_NAME, markdown(page.figures, page.table_steps))
    write_text(out / PAGE_NAME, render(page))


def markdown(figures: Sequence[Figure], table_steps: Sequence[int] = ()) -> str:
    """Table, verdict, curves at some steps and definitions, to be quoted in a README or a model card."""
    blank = "".join(f"- {line}\n" for line in not_computed_lines(figures))
    rows = markdown_rows(curve_rows(figures, table_steps)) if table_steps else ""
    curves = f"Curves, generated (real):\n\n{rows}" if rows else ""
    parts = [markdown_table(figures), f"{missed_line(figures)}.", blank.rstrip(), curves, definitions(figures)]
    return "\n\n".join(filter(None, parts)) + "\n"


def begin_outputs(out: Path) -> None:
    """Remove what an earlier run left, so that nothing of two runs lies side by side.

    Pictures are removed that its own captions name; anything else in the directory is somebody else's and stays.
    """
    for name in (METRICS_NAME, TABLE_NAME, PAGE_NAME):
        (out / name).unlink(missing_ok=True)
    captions = out / CAPTIONS_NAME
    if captions.is_file():
        for _, row in json_lines(captions, "captions"):
            if isinstance(row, dict) and row.get("made_by") == MADE_BY:
                for folder in (PICTURES_NAME, REAL_NAME):
                    (out / folder / Path(row["image"]).name).unlink(missing_ok=True)


def write_panoramas(out: Path, walks: Sequence[Walk], drawn: Sequence[Pixels], real: Mapping[str, Pixels]) -> None:
    """Write ``pictures/KEY.png`` and ``captions.jsonl``, which ``eval score`` and ``eval study`` take, and ``real/``.

    Args:
        out: the directory, see ``eval.files.check_out``.
        walks: what was asked for.
        drawn: what was drawn, one per walk.
        real: true panoramas of some walks, by key.

    Raises:
        ValueError: a key does not do as the name of a file.
    """
    pictures = [
        (picture_path(out / PICTURES_NAME, walk.key), panorama) for walk, panorama in zip(walks, drawn, strict=True)
    ]
    # The captions come first, so that they name every picture that may be there, also after a run that was killed.
    rows = [
        {"image": path.name, "caption": walk.global_caption, "made_by": MADE_BY}
        for walk, (path, _) in zip(walks, pictures, strict=True)
    ]
    write_text(out / CAPTIONS_NAME, "".join(f"{json.dumps(row)}\n" for row in rows))
    for path, panorama in [*pictures, *((picture_path(out / REAL_NAME, key), each) for key, each in real.items())]:
        path.parent.mkdir(exist_ok=True)
        with written_whole(path) as draft:
            Image.fromarray(panorama).save(draft, format="PNG")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
