"""The verbs of ``python -m eval``: ``run`` scores a checkpoint, ``family`` a model family, ``score`` any pictures.

Each verb is a frozen config and a function; flags and help come from the config. A further verb is one more row of
``_VERBS``.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from diffusers.utils import logging as diffusers_logging
from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
from transformers.utils import logging as transformers_logging

from eval.compare import CompareConfig, compare
from eval.family import FamilyConfig, family
from eval.run import RunConfig, run
from eval.score import ScoreConfig, score
from eval.study.report import StudyReportConfig, study_report
from eval.study.study import StudyConfig, study

# The docstring under each field of a configuration becomes its help.
set_parsing_settings(docstring_parse_attribute_docstrings=True)


class _Verb(NamedTuple):
    config: type[Any]
    action: Callable[[Any, str], object]
    help: str


_VERBS = {
    "run": _Verb(RunConfig, run, "outpaint held-out panoramas with a checkpoint and score them next to the real ones"),
    "family": _Verb(
        FamilyConfig, family, "score autoencoder, probe, evaluation CLIP and base model on held-out windows"
    ),
    "score": _Verb(ScoreConfig, score, "score a folder of pictures made by anybody, with captions and real pictures"),
    "compare": _Verb(CompareConfig, compare, "set runs on the same panoramas and seed against the first of them"),
    "study": _Verb(StudyConfig, study, "make a page of blinded pairs of pictures for people to judge"),
    "study-report": _Verb(StudyReportConfig, study_report, "compute preferences and agreement from what people said"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 when it is done, 2 when the input was at fault (one line on stderr says how to mend it).
    """
    _quieten()
    try:
        verb_parsers = {name: _verb_parser(verb) for name, verb in _VERBS.items()}
        chosen = _parser(verb_parsers).parse_args(list(sys.argv[1:] if argv is None else argv))
        verb, parser, options = _VERBS[chosen.subcommand], verb_parsers[chosen.subcommand], chosen[chosen.subcommand]
        ready = parser.instantiate(options)
        config = verb.config(**{field.name: ready[field.name] for field in fields(verb.config)})
        verb.action(config, parser.dump(options, skip_unset=False))
    except (ArgumentError, ValueError, FileNotFoundError, PermissionError) as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _quieten() -> None:
    """Progress is told in our own lines; bars of the libraries would cut through them in a log."""
    transformers_logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()


def _parser(verb_parsers: Mapping[str, ArgumentParser]) -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m eval", description="Score what the models draw, next to what is real.", exit_on_error=False
    )
    verbs = parser.add_subcommands()
    for name, verb in _VERBS.items():
        verbs.add_subcommand(name, verb_parsers[name], help=verb.help)
    return parser


def _verb_parser(verb: _Verb) -> ArgumentParser:
    parser = ArgumentParser(description=f"{verb.help[0].upper()}{verb.help[1:]}.", exit_on_error=False)
    parser.add_argument("-c", "--config", action="config", help="YAML file with the options below; later flags win.")
    # Several values behind one flag, or behind none, which a signature cannot say.
    many = [field for field in fields(verb.config) if "many" in field.metadata]
    for field in many:
        needed = {"required": True} if field.metadata["many"].startswith("-") else {}
        parser.add_argument(field.metadata["many"], type=Path, nargs="+", help=field.metadata["help"], **needed)
    parser.add_class_arguments(verb.config, as_group=False, skip={field.name for field in many})
    return parser


def _one_line(error: BaseException) -> str:
    """The message without line breaks; errors of the operating system already name their file."""
    return " ".join(str(error).split()) or type(error).__name__
