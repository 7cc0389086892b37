"""The file of a sweep: what to vary, on which world, and how a finished cell is scored.

    base: experiments/scapes.yaml      # one file, or a list; the last wins
    settings: {trainer.max_steps: 400} # the same in every cell
    grid:                              # every combination of the axes is a cell
      data.mask_ratio: [0.5, 0.75]     # a key and its values, or {label: value}
      captions:                        # or any name, with settings for each label
        both: {}
        none: {model.dropout.text: 1.0, model.dropout.visual: 0.0, model.dropout.both: 0.0}
    seeds: [0, 1, 2]
    evaluate: python -m eval run --checkpoint {run}/last.ckpt --data runs/data --out {run}/eval
    report: [val/loss, seam]           # columns: of metrics.csv (with a stroke), or of eval's metrics.json
    worlds:                            # what is different elsewhere; chosen by --world
      coco: {base: experiments/coco.yaml, evaluate: null}

Keys are those of ``fit``; ``evaluate.FLAG`` is a flag of the evaluation. Without ``base`` nothing is trained: the
evaluation is what varies.
"""

import itertools
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

DEFAULT_WORLD: Final = "scapes"
EVALUATE: Final = "evaluate."
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
# The sweep itself sets these, so that cells cannot write over each other.
RESERVED: Final = ("name", "runs_dir", "seed_everything", "data.seed", "ckpt_path", "overwrite", "config")

Settings = dict[str, Any]
"""Dotted keys of the command line and their values."""


class Choice(NamedTuple):
    """One combination of the grid, before seeds."""

    labels: dict[str, str]
    """Label by axis."""
    settings: Settings
    """What it sets."""

    @property
    def name(self) -> str:
        """Its part of the name of a run."""
        return "-".join(self.labels.values()) or "base"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep on one world."""

    name: str
    """Of the file, and of the world where that is not the default."""
    world: str
    """scapes, coco, ..."""
    base: tuple[str, ...]
    """Configurations of ``fit``; none for a sweep that only evaluates."""
    settings: Settings
    """The same in every cell."""
    grid: dict[str, dict[str, Settings]]
    """Axis -> label -> what it sets."""
    seeds: tuple[int, ...]
    """One run of every combination for each."""
    evaluate: str | None
    """Command that scores a cell, with {run} for its directory and {seed}; None scores nothing."""
    report: tuple[str, ...]
    """Figures of the table."""

    def choices(self) -> list[Choice]:
        """All combinations, in the order of the file."""
        axes = [[(axis, label, settings) for label, settings in labels.items()] for axis, labels in self.grid.items()]
        return [
            Choice(
                {axis: label for axis, label, _ in combination},
                dict(itertools.chain(self.settings.items(), *(settings.items() for *_, settings in combination))),
            )
            for combination in itertools.product(*axes)
        ]


def load_sweep(path: Path, world: str = DEFAULT_WORLD) -> Sweep:
    """Read a file.

    Args:
        path: YAML, see the module docstring.
        world: which of its worlds; the default is the file without its ``worlds``.

    Raises:
        ValueError: it is no sweep; the message names the key.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"a sweep must be a YAML file, found no file {path}; see experiments/sweeps")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{path} must be a mapping with the keys of a sweep, got {type(given).__name__}")
    worlds = given.pop("worlds", None) or {}
    if not isinstance(worlds, dict) or not all(isinstance(of, dict | None) for of in worlds.values()):
        raise ValueError(f"{path}: worlds must map names to the keys that they set, got {worlds!r}")
    if world != DEFAULT_WORLD:
        if world not in worlds:
            raise ValueError(f"{path} has no world {world!r}; it has {', '.join([DEFAULT_WORLD, *worlds])}")
        given |= worlds[world] or {}
    allowed = {field.name for field in fields(Sweep)} - {"name", "world"}
    if unknown := sorted(set(given) - allowed):
        raise ValueError(f"{path} has the key {unknown[0]!r}, which no sweep has; use {', '.join(sorted(allowed))}")
    sweep = Sweep(
        name=path.stem if world == DEFAULT_WORLD else f"{path.stem}-{world}",
        world=world,
        base=_base(path, given.get("base")),
        settings=_settings(path, "settings", given.get("settings") or {}),
        grid=_grid(path, given.get("grid") or {}),
        seeds=_seeds(f"{path}: seeds", given.get("seeds", [0])),
        evaluate=_command(path, given.get("evaluate")),
        report=_words(path, "report", given.get("report", ["val/loss"])),
    )
    _check_whole(path, sweep)
    return sweep


def _base(path: Path, given: object) -> tuple[str, ...]:
    files = [given] if isinstance(given, str) else given or []
    return _words(path, "base", files)


def _words(path: Path, key: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise ValueError(f"{path}: {key} must be a list of words, got {given!r}")
    return tuple(given)


def _seeds(name: str, given: object) -> tuple[int, ...]:
    seeds = given if isinstance(given, list) else [given]
    if not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"{name} must be different whole numbers from 0 on, got {given!r}")
    return tuple(seeds)


def _settings(path: Path, place: str, given: object) -> Settings:
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise ValueError(f"{path}: {place} must map dotted keys to values, got {given!r}")
    if reserved := [key for key in given if key in RESERVED]:
        raise ValueError(f"{path}: {place} must not set {reserved[0]}; the sweep itself does")
    return dict(given)


def _grid(path: Path, given: object) -> dict[str, dict[str, Settings]]:
    if not isinstance(given, dict):
        raise ValueError(f"{path}: grid must map keys to their values, got {given!r}")
    grid = {}
    for axis, values in given.items():
        if isinstance(values, list):
            values = (
                {_label(value): value for value in values} if len(values) == len(set(map(_label, values))) else None
            )
        if not isinstance(values, Mapping) or not values:
            raise ValueError(f"{path}: grid.{axis} must be a list of different values, or map labels to values")
        # YAML reads a bare yes or no as a truth value.
        if bad := [label for label in values if isinstance(label, bool) or not _LABEL.fullmatch(str(label))]:
            raise ValueError(
                f"{path}: grid.{axis} has the label {bad[0]!r}; labels name directories and hold letters, digits and"
                " _ . + - alone; write {label: value}, and put yes and no in quotes"
            )
        if len(set(map(str, values))) < len(values):
            raise ValueError(f"{path}: grid.{axis} has one label twice, as a number and as a text; rename one")
        grid[str(axis)] = {
            str(label): _settings(path, f"grid.{axis}.{label}", value if isinstance(value, dict) else {axis: value})
            for label, value in values.items()
        }
    return grid


def _label(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _command(path: Path, given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise ValueError(f"{path}: evaluate must be a command line, got {given!r}")
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise ValueError(f"{path}: evaluate must be a command line, got {given!r} ({error})") from error
    if words[:2] != ["python", "-m"] or len(words) < 3:
        raise ValueError(f"{path}: evaluate must start with python -m MODULE, got {given!r}")
    if unknown := set(re.findall(r"\{(\w+)\}", given)) - {"run", "seed"}:
        raise ValueError(f"{path}: evaluate may use {{run}} and {{seed}}, got {{{sorted(unknown)[0]}}}")
    outs = [after for word, after in itertools.pairwise([*words, ""]) if word == "--out"]
    outs += [word.removeprefix("--out=") for word in words if word.startswith("--out=")]
    if words[2] == "eval" and any(out != "{run}/eval" for out in outs):
        raise ValueError(f"{path}: evaluate must write to {{run}}/eval, where scores are looked for, got {outs[0]!r}")
    return given


def _check_whole(path: Path, sweep: Sweep) -> None:
    """What only shows when all keys are read."""
    settings = [choice.settings for choice in sweep.choices()]
    trained = sorted({key for some in settings for key in some if not key.startswith(EVALUATE)})
    scored = sorted({key for some in settings for key in some if key.startswith(EVALUATE)})
    if not sweep.base and sweep.evaluate is None:
        raise ValueError(f"{path} must have a base to train, an evaluate command, or both")
    if not sweep.base and trained:
        raise ValueError(f"{path} trains nothing (no base), so that {trained[0]} has no effect")
    if sweep.evaluate is None and scored:
        raise ValueError(f"{path} evaluates nothing, so that {scored[0]} has no effect")
    names = [choice.name for choice in sweep.choices()]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two combinations of labels make the same name; rename a label")


def arguments(settings: Mapping[str, Any]) -> list[str]:
    """Settings as command-line words, values in YAML's flow style."""
    return [f"--{key}={flow(value)}" for key, value in settings.items()]


def flow(value: Any) -> str:
    """A value as one line of YAML, which is how the command lines read it."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def split_settings(settings: Mapping[str, Any]) -> tuple[Settings, Settings]:
    """Settings of training, and those of the evaluation without their prefix."""
    scored = {key.removeprefix(EVALUATE): value for key, value in settings.items() if key.startswith(EVALUATE)}
    return {key: value for key, value in settings.items() if not key.startswith(EVALUATE)}, scored


def listed(text: str) -> list[str]:
    """The names in a list on the command line, such as ``a,b`` or ``[a, b]``."""
    return [name.strip() for name in text.strip("[]").split(",")]


def with_seeds(sweep: Sweep, seeds: str | None) -> tuple[int, ...]:
    """The seeds asked for, such as ``0,1``, or those of the file.

    Raises:
        ValueError: they are no different whole numbers from 0 on.
    """
    if seeds is None:
        return sweep.seeds
    return _seeds("--seeds", [int(name) if name.isdecimal() else name for name in listed(seeds)])
