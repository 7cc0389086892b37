"""What a training command is refused for at once: files that are missing, and settings that nothing has.

The parser of the training verbs is made of the classes that it fills, and these import torch, Lightning and diffusers:
16 seconds of CPU time. What is asked here is answered from the text of those classes (`class_text`); everything else is
left to the parser.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from lit_outpaint.cli.class_text import Setting, settings_of
from lit_outpaint.data.fingerprint import require_at_hand
from lit_outpaint.data.remote import is_url

TRAINER: Final = ("lightning.pytorch.trainer.trainer", "Trainer")
GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "trainer": TRAINER,
    "model": ("lit_outpaint.module", "OutpaintModule"),
    "data": ("lit_outpaint.data.datamodule", "OutpaintDataModule"),
    "checkpoint": ("lit_outpaint.callbacks.run_checkpoint", "RunCheckpoint"),
    "throughput": ("lit_outpaint.callbacks.throughput", "Throughput"),
    "wandb": ("lit_outpaint.training.logger", "WandbConfig"),
}
"""Settings that hold others: module and class of each group."""
OWN: Final = (
    Setting(name="name", type="str", default="run", help="Name of the run."),
    Setting(name="runs_dir", type="str", default="runs", help="Directory of all runs."),
    Setting(
        name="overwrite",
        type="bool",
        default="false",
        help="Replace a run of the same name instead of refusing to start.",
    ),
    Setting(
        name="print_memory", type="bool", default="false", help="Estimate the memory of a device, and train nothing."
    ),
    Setting(
        name="tf32",
        type="bool",
        default="false",
        help="Round the factors of float32 products to TF32, on GPUs that can: faster, about three digits.",
    ),
)
"""Settings that the training verbs add to Lightning's."""
SEED: Final = Setting(
    name="seed_everything",
    type="bool | int",
    default="0",
    help="Seed of new weights, noise and timesteps; data.seed is that of sample order and views.",
)
CHECKPOINT_DEFAULTS: Final[Mapping[str, Any]] = {
    # One file, last.ckpt, as new as the last step; checkpoint.save_top_k keeps more.
    "save_last": True,
    "save_top_k": 0,
    "save_on_train_epoch_end": True,
    "enable_version_counter": False,
    "filename": "{step:07d}",
}
OF_PARSER: Final = ("config", "print_config", "help")

_NOT_SET: Final = ("self", "model", "train_dataloaders", "val_dataloaders", "dataloaders", "datamodule")
"""What the trainer's methods are called with and no setting names."""

CHECKPOINTS: Final = ("last", "best", "hpc", "registry")
"""What ``ckpt_path`` may be beside a path."""


def given_within(group: str, arguments: Sequence[str]) -> set[str]:
    """Names of the settings of a group that a command line gives, by flags or by its configurations.

    >>> sorted(given_within("model.optim", ["--model.optim.lr", "1", "--config", "{model: {optim: {name: muon}}}"]))
    ['lr', 'name']
    """
    given: list[tuple[str, Any]] = []
    for name, value in _settings(arguments):
        given += _of_file(value) if name == "config" else [(name, value)]
    within = {name.removeprefix(f"{group}.") for name, _ in given if name.startswith(f"{group}.")}
    return within.union(*(value for name, value in given if name == group and isinstance(value, dict)))


def check_arguments(verb: str, arguments: Sequence[str]) -> None:
    """Refuse what can be refused without the classes; ask for the help of a class, and nothing is refused.

    Args:
        verb: a training verb.
        arguments: what follows it on the command line.

    Raises:
        FileNotFoundError: a configuration, the shards or a checkpoint are not there.
        ValueError: a setting is none of the verb's.
    """
    if any(word.partition("=")[0].endswith(".help") for word in arguments):
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
    for name in ("checkpoint.dirpath", "trainer.default_root_dir"):
        if any(flag == name for flag, _ in _settings(arguments)):
            raise ValueError(f"--{name} is where a run lies, which --runs_dir and --name say; leave it out")
    # These print something and train nothing.
    prints = "print_config" in given or str(given.get("print_memory", False)).lower() == "true"
    shards, checkpoint = given.get("data.shards"), given.get("ckpt_path")
    if not prints and isinstance(shards, str) and not is_url(shards) and not Path(shards).exists():
        raise FileNotFoundError(
            f"data.shards must be a shard set, found no {shards}; make one with python -m data_prep all --source "
            f"scapes|coco --out {shards}"
        )
    base = given.get("model.base")
    pretrained = given.get("model.base.pretrained", base.get("pretrained") if isinstance(base, dict) else None)
    if not prints and isinstance(pretrained, str):
        require_at_hand(pretrained)
    if isinstance(checkpoint, str) and checkpoint not in (*CHECKPOINTS, "null") and not Path(checkpoint).exists():
        raise FileNotFoundError(f"ckpt_path must be a checkpoint or {', '.join(CHECKPOINTS)}, found no {checkpoint}")


@cache
def settings_of_verb(verb: str) -> tuple[Setting, ...]:
    """Every setting of ``fit``, ``validate``, ``test`` or ``predict``; groups hold theirs."""
    own = [setting for setting in settings_of(*TRAINER, verb) if setting.name not in _NOT_SET]
    groups = [
        Setting(name=group, type=name, default="", inner=settings_of(module, name))
        for group, (module, name) in GROUPS.items()
    ]
    return (SEED, *OWN, *own, *groups)


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
    """Refuse a dotted name that leads nowhere; what lies inside of an object is left to the parser."""
    known, before = settings_of_verb(verb), ""
    for word in str(name).split("."):
        names = [setting.name for setting in known] + [*OF_PARSER] * (not before)
        word = word.removesuffix("+")
        if word not in names:
            raise ValueError(f"{shown} is no setting of {verb}{_close(word, sorted(names), before)}")
        known = next((setting.inner for setting in known if setting.name == word), ())
        if not known:
            return
        before += f"{word}."


def _close(name: str, known: Sequence[str], before: str) -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f"; {before}{found[0]} is" if found else ""
