"""What a run leaves in its directory: numbers as JSON and Markdown, the report, and the panoramas it drew."""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image

from eval.figures import Figure, curve_rows, definitions, markdown_rows, markdown_table, missed_line, not_computed_lines
from eval.files import write_text
from eval.report.page import Page, render
from lit_outpaint.files import written_whole
from lit_outpaint.rollout import Pixels, Walk

METRICS_VERSION = 2
PICTURES_NAME, CAPTIONS_NAME = "pictures", "captions.jsonl"
_FILES = ("metrics.json", "metrics.md", "report.html")
_PACKAGES = ("lit-outpaint", "torch", "diffusers", "transformers", "open-clip-torch")


def provenance(**known: object) -> dict[str, str]:
    """How a run was made: what is known, the command, and the versions of what did the work."""
    facts = {name: str(value) for name, value in known.items()}
    facts["command"] = "python -m eval " + " ".join(sys.argv[1:])
    facts["python"] = platform.python_version()
    facts |= {package: _version(package) for package in _PACKAGES}
    return facts


def write_outputs(out: Path, page: Page, extra: dict[str, Any]) -> None:
    """Write the three files, each whole or not at all.

    Args:
        out: the directory, see ``eval.files.check_out``.
        page: the report; its figures also make the JSON and the Markdown.
        extra: further keys of ``metrics.json``.
    """
    metrics = {
        "schema": METRICS_VERSION,
        "title": page.title,
        "figures": {figure.key: figure.as_json() for figure in page.figures},
        "made": dict(page.facts),
        **extra,
    }
    write_text(out / "metrics.json", json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    write_text(out / "metrics.md", markdown(page.figures, page.table_steps))
    write_text(out / "report.html", render(page))


def markdown(figures: Sequence[Figure], table_steps: Sequence[int] = ()) -> str:
    """Table, verdict, curves at some steps and definitions, to be quoted in a README or a model card."""
    blank = "".join(f"- {line}\n" for line in not_computed_lines(figures))
    rows = markdown_rows(curve_rows(figures, table_steps)) if table_steps else ""
    curves = f"Curves, generated (real):\n\n{rows}" if rows else ""
    parts = [markdown_table(figures), f"{missed_line(figures)}.", blank.rstrip(), curves, definitions(figures)]
    return "\n\n".join(filter(None, parts)) + "\n"


def begin_outputs(out: Path) -> None:
    """Remove what an earlier run left, so that nothing of two runs lies side by side.

    Pictures are removed that its captions name; anything else in the directory is somebody else's and stays.
    """
    for name in _FILES:
        (out / name).unlink(missing_ok=True)
    captions = out / CAPTIONS_NAME
    if captions.is_file():
        for line in captions.read_text(encoding="utf-8").splitlines():
            (out / PICTURES_NAME / Path(json.loads(line)["image"]).name).unlink(missing_ok=True)


def write_panoramas(out: Path, walks: Sequence[Walk], panoramas: Sequence[Pixels]) -> None:
    """Write ``pictures/KEY.png`` and ``captions.jsonl``, which ``eval score`` and ``eval study`` take.

    Args:
        out: the directory, see ``eval.files.check_out``.
        walks: what was asked for.
        panoramas: what was drawn, one per walk.

    Raises:
        ValueError: a key does not do as the name of a file.
    """
    folder = out / PICTURES_NAME
    paths = [folder / f"{walk.key}.png" for walk in walks]
    for path, walk in zip(paths, walks, strict=True):
        if path.parent != folder or walk.key.startswith("."):
            raise ValueError(f"keys of panoramas must do as names of files, got {walk.key}; write the set anew")
    folder.mkdir(exist_ok=True)
    # The captions come first, so that they name every picture that may be there, also after a run that was killed.
    rows = [{"image": path.name, "caption": walk.global_caption} for path, walk in zip(paths, walks, strict=True)]
    write_text(out / CAPTIONS_NAME, "".join(f"{json.dumps(row)}\n" for row in rows))
    for path, panorama in zip(paths, panoramas, strict=True):
        with written_whole(path) as draft:
            Image.fromarray(panorama).save(draft, format="PNG")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
