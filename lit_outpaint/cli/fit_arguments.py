"""What a training command is refused for at once: files that are missing, and settings that nothing has.

The parser of the training verbs is made of the classes that it fills, and these import torch, Lightning and diffusers.
What is asked here is answered from the text of those classes; everything else is left to the parser.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from lit_outpaint.data.remote import is_url

OWN: Final = ("name", "runs_dir", "overwrite", "print_memory", "seed_everything", "ckpt_path", "weights_only")
"""Settings of every training verb that stand by themselves."""
OF_VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "fit": (),
    "validate": ("verbose",),
    "test": ("verbose",),
    "predict": ("return_predictions",),
}
"""Further ones of single verbs, as the trainer's methods have them."""
GROUPS: Final = ("trainer", "model", "data", "checkpoint", "throughput", "wandb")
"""Settings that hold others."""
OF_PARSER: Final = ("config", "print_config", "help")

CHECKPOINTS: Final = ("last", "best", "hpc", "registry")
"""What ``ckpt_path`` may be beside a path."""

_CLASSES: Final = {
    "trainer": ("lightning", "pytorch/trainer/trainer.py", "Trainer"),
    "model": ("lit_outpaint", "module.py", "OutpaintModule"),
    "data": ("lit_outpaint", "data/datamodule.py", "OutpaintDataModule"),
}
"""Package, file and class that hold the settings of a group."""


def check_arguments(verb: str, arguments: Sequence[str]) -> None:
    """Refuse what can be refused without the classes; ask for help, and nothing is refused.

    Args:
        verb: one of `OF_VERBS`.
        arguments: what follows it on the command line.

    Raises:
        FileNotFoundError: a configuration, the shards or a checkpoint are not there.
        ValueError: a setting is none of the verb's.
    """
    if any(word in ("-h", "--help") or word.endswith(".help") for word in arguments):
        return
    given: dict[str, Any] = {}
    for name, value in _settings(arguments):
        if name != "config":
            _check_name(verb, name, f"--{name}")
            given[name] = value
        else:
            for inner, setting in _of_file(value):
                _check_name(verb, inner, f"{value}: {inner}")
                given[inner] = setting
    # These print something and train nothing.
    prints = "print_config" in given or str(given.get("print_memory", False)).lower() == "true"
    shards, checkpoint = given.get("data.shards"), given.get("ckpt_path")
    if not prints and isinstance(shards, str) and not is_url(shards) and not Path(shards).exists():
        raise FileNotFoundError(
            f"data.shards must be a shard set, found no {shards}; make one with python -m data_prep all --out {shards}"
        )
    if isinstance(checkpoint, str) and checkpoint not in (*CHECKPOINTS, "null") and not Path(checkpoint).exists():
        raise FileNotFoundError(f"ckpt_path must be a checkpoint or {', '.join(CHECKPOINTS)}, found no {checkpoint}")


def names_of(group: str) -> frozenset[str] | None:
    """The settings of a group, read from the text of its class; None for a group that is not read."""
    if group not in _CLASSES:
        return None
    package, file, name = _CLASSES[group]
    spec = importlib.util.find_spec(package)
    assert spec is not None, "both are installed"
    assert spec.submodule_search_locations is not None, "both are packages"
    tree = ast.parse((Path(spec.submodule_search_locations[0]) / file).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    init = next(node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return frozenset(argument.arg for argument in [*init.args.args, *init.args.kwonlyargs]) - {"self"}


def _settings(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Names of flags with their values; a flag without one has None."""
    for place, word in enumerate(arguments):
        if not word.startswith("-") or word == "--":
            continue
        flag, equals, value = word.partition("=")
        following = arguments[place + 1] if place + 1 < len(arguments) else None
        if flag == "-c":
            yield "config", value if equals else following
        elif flag.startswith("--"):
            yield flag[2:].removesuffix("+"), value if equals else following


def _of_file(path: str | None) -> Iterator[tuple[str, Any]]:
    """The settings of a configuration, groups opened once."""
    if path is None:
        return
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8") if Path(path).is_file() else path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be YAML: {' '.join(str(error).split())}") from error
    if isinstance(given, str):  # No text of a configuration, so it was meant as its name.
        raise FileNotFoundError(f"--config must be a YAML file, found no {path}")
    for name, value in given.items() if isinstance(given, dict) else ():
        opened = isinstance(value, dict) and name in GROUPS
        yield from ((f"{name}.{inner}", setting) for inner, setting in value.items()) if opened else ((name, value),)


def _check_name(verb: str, name: str, shown: str) -> None:
    group, _, rest = str(name).removesuffix("+").partition(".")
    known: Sequence[str] = (*OWN, *OF_VERBS[verb], *GROUPS, *OF_PARSER)
    if group not in known:
        raise ValueError(f"{shown} is no setting of {verb}{_close(group, known)}")
    inner = rest.partition(".")[0].removesuffix("+")
    names = names_of(group) if inner else None
    if names is not None and inner not in names:
        raise ValueError(f"{shown} is no setting of {verb}{_close(inner, sorted(names), f'{group}.')}")


def _close(name: str, known: Sequence[str], before: str = "") -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f"; {before}{found[0]} is" if found else ""
