"""What a run leaves in its directory: ``metrics.json``, ``metrics.md`` and ``report.html``."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eval.figures import Figure, definitions, markdown_table, missed_line
from eval.report.page import Page, render

METRICS_VERSION = 1
_PACKAGES = ("lit-outpaint", "torch", "diffusers", "transformers", "open-clip-torch")


def check_out(out: Path) -> None:
    """Make the output directory, or say at once why nothing could be written there.

    Raises:
        ValueError: it is a file, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"--out must be a directory, but {error.filename or out} is a file; name another one"
        ) from error
    except OSError as error:
        raise ValueError(f"--out must be writable, but {out} is not ({error.strerror}); name another one") from error
    if not os.access(out, os.W_OK):
        raise ValueError(f"--out must be writable, but {out} is not; name another one")


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
        out: the directory, see ``check_out``.
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
    _write(out / "metrics.json", json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    _write(out / "metrics.md", markdown(page.figures))
    _write(out / "report.html", render(page))


def markdown(figures: Sequence[Figure]) -> str:
    """Table, verdict and definitions, to be quoted in a README or a model card."""
    return f"{markdown_table(figures)}\n\n{missed_line(figures)}.\n\n{definitions(figures)}\n"


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
