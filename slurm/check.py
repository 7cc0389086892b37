"""Would it run? Asked of the real command lines, before anything is queued or written."""

import contextlib
import importlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from slurm.record import Record


def check_cells(record: Record) -> None:
    """Parse the command lines of every combination, as ``fit`` and the evaluation themselves do.

    Seeds differ in nothing that a parser could refuse, so that one cell of each combination is asked.

    Raises:
        ValueError: one of them would be refused; the message names the cell and passes on what the parser says.
    """
    asked: set[tuple[str, ...]] = set()
    for cell in record.cells:
        labels = ("fit", *cell.labels.values())
        if cell.fit is not None and labels not in asked:
            parse_fit(cell.fit, cell.name)
        # Most evaluations differ in nothing but the directory they read and write.
        flags = tuple(word.replace(str(record.run_dir(cell)), "{run}") for word in cell.evaluate or [])
        if cell.evaluate is not None and flags not in asked:
            _parse(cell.evaluate[1], cell.evaluate[2:], f"the evaluation of {cell.name}")
        asked |= {labels, flags}


def parse_fit(words: Sequence[str], name: str) -> dict[str, Any]:
    """The whole configuration that ``python -m lit_outpaint`` makes of these words.

    Raises:
        ValueError: it refuses them.
    """
    config: dict[str, Any] = yaml.safe_load(_parse("lit_outpaint", words, name))
    return config


def check_shards(record: Record) -> None:
    """Refuse to queue cells whose data nobody has prepared; one cell of each combination is asked, as above.

    Raises:
        ValueError: the shard set of a cell is missing.
    """
    asked: set[tuple[str, ...]] = set()
    for cell in record.cells:
        labels = tuple(cell.labels.values())
        if cell.fit is None or labels in asked:
            continue
        asked.add(labels)
        shards = str(parse_fit(cell.fit, cell.name)["data"]["shards"])
        if "://" not in shards and not Path(shards).is_dir():
            raise ValueError(
                f"{cell.name} trains on {shards}, which does not exist; comments in {record.source} say how to make it"
            )


def _parse(module: str, words: Sequence[str], name: str) -> str:
    """What a program prints as its configuration for these words."""
    try:
        main: Callable[[list[str]], int] = importlib.import_module(f"{module}.__main__").main
    except ModuleNotFoundError as error:
        raise ValueError(f"{name} needs python -m {module}, which does not exist ({error})") from error
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            status: object = main([*words, "--print_config"])
        except SystemExit as stop:
            status = stop.code
    if status not in (0, None):
        lines = said.getvalue().strip().splitlines() or [f"exit code {status}"]
        raise ValueError(f"{name}: {lines[-1].removeprefix('error: ')}")
    return out.getvalue()
