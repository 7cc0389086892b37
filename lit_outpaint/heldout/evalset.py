"""The held-out evaluation set on disk, shared by who writes it and who scores with it.

``DIR/evalset/panoramas.jsonl`` and ``windows.jsonl`` hold one JSON object a line; the pictures are PNG files beside
them. Facts are ground truth: what is really to be seen, not what a caption claims.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field, ValidationError

from lit_outpaint.data.schema import EVALSET_DIR, InsidePath, ShardError, Strict
from lit_outpaint.system.text_files import read_text, text_lines

PANORAMAS_NAME: Final = "panoramas.jsonl"
WINDOWS_NAME: Final = "windows.jsonl"


class ObjectFact(Strict):
    """One object that is to be seen."""

    kind: str
    colour: str | None
    """None where the kind has no colour of its own."""


class WindowFacts(Strict):
    """What is to be seen in a stretch of an image; None where it cannot be told from it (sky out of sight)."""

    time: str | None
    weather: str | None
    mountains: bool | None
    biomes: dict[str, float]
    """Share of the ground pixels; empty where no ground is in sight."""
    objects: list[ObjectFact]


class EvalWindow(Strict):
    """One held-out window with its captions."""

    key: str
    image: InsidePath
    """PNG, relative to the evaluation set."""
    captions: list[str]
    """Five differently worded local captions."""
    dense_caption: str
    """One description of 40-140 words."""
    facts: WindowFacts


class EvalStep(Strict):
    """Ground truth of one expansion step."""

    local_caption: str
    """Describes the window after the step."""
    facts: WindowFacts
    """Of that window, known part included."""
    strip_facts: WindowFacts
    """Of the new strip alone."""


class EvalPanorama(Strict):
    """A real panorama: the start window and where each step must lead.

    The picture is ``window_px`` high and ``window_px + stride_px * len(steps)`` wide for left and right (up and down:
    the other way round). The start window is its end opposite to ``direction``.
    """

    key: str
    image: InsidePath
    """PNG, relative to the evaluation set."""
    window_px: int = Field(gt=0)
    stride_px: int = Field(gt=0)
    direction: Literal["left", "right", "up", "down"]
    global_caption: str
    first_caption: str
    first_facts: WindowFacts
    steps: list[EvalStep] = Field(min_length=1)


_Row = TypeVar("_Row", EvalWindow, EvalPanorama)


def evalset_dir(shards: Path) -> Path:
    """Where the evaluation set of a shard set lies."""
    return shards / EVALSET_DIR


def write_rows(path: Path, rows: Iterable[EvalWindow] | Iterable[EvalPanorama]) -> None:
    """Write one JSON object a line, with a stable field order so that equal rows give equal bytes."""
    path.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")


def read_windows(directory: Path) -> list[EvalWindow]:
    """Read the held-out windows of an evaluation set.

    Args:
        directory: the directory that holds ``windows.jsonl`` (see ``evalset_dir``).

    Raises:
        ShardError: the file is missing, empty, or a line does not fit the schema.
    """
    return _read_rows(directory / WINDOWS_NAME, EvalWindow)


def read_panoramas(directory: Path) -> list[EvalPanorama]:
    """Read the held-out panoramas of an evaluation set.

    Args:
        directory: the directory that holds ``panoramas.jsonl`` (see ``evalset_dir``).

    Raises:
        ShardError: the file is missing, empty, or a line does not fit the schema.
    """
    return _read_rows(directory / PANORAMAS_NAME, EvalPanorama)


def _read_rows(path: Path, row_type: type[_Row]) -> list[_Row]:
    if not path.is_file():
        raise ShardError(
            f"an evaluation set needs {path}, which is missing; `data_prep all --source scapes` writes one"
        )
    rows: list[_Row] = []
    for number, line in text_lines(read_text(path, "an evaluation set")):
        try:
            rows.append(row_type.model_validate_json(line))
        except ValidationError as error:
            raise ShardError(f"{path}:{number} does not fit the schema: {_first_problem(error.errors())}") from error
    if not rows:
        raise ShardError(f"{path} holds no rows; write it again with `python -m data_prep all`")
    return rows


def _first_problem(problems: Sequence[object]) -> str:
    first = problems[0]
    assert isinstance(first, dict)
    return f"{'.'.join(str(part) for part in first['loc']) or 'line'}: {first['msg']}"
