"""What a run leaves in its directory: numbers as JSON and Markdown, the report, and the panoramas it drew."""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image

from eval.figures import Figure, definitions, markdown_table, missed_line
from eval.files import write_text
from eval.report.page import Page, render
from lit_outpaint.rollout import Pixels, Walk

METRICS_VERSION = 1
PICTURES_NAME, CAPTIONS_NAME = "pictures", "captions.jsonl"
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
    write_text(out / "metrics.md", markdown(page.figures))
    write_text(out / "report.html", render(page))


def markdown(figures: Sequence[Figure]) -> str:
    """Table, verdict and definitions, to be quoted in a README or a model card."""
    return f"{markdown_table(figures)}\n\n{missed_line(figures)}.\n\n{definitions(figures)}\n"


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
    folder.mkdir(exist_ok=True)
    lines = []
    for walk, panorama in zip(walks, panoramas, strict=True):
        path = folder / f"{walk.key}.png"
        if path.parent != folder or walk.key.startswith("."):
            raise ValueError(f"keys of panoramas must do as names of files, got {walk.key}; write the set anew")
        temporary = path.with_name(f".{path.name}.partial")
        Image.fromarray(panorama).save(temporary, format="PNG")
        temporary.replace(path)
        lines.append(json.dumps({"image": path.name, "caption": walk.global_caption}))
    write_text(out / CAPTIONS_NAME, "".join(f"{line}\n" for line in lines))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
