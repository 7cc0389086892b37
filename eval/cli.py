"""The verbs of ``python -m eval``: ``run`` scores a checkpoint, ``family`` a model family, ``score`` any pictures.

Each verb is a frozen config and a function; flags and help come from the config. A further verb is one more row of
``_VERBS``. Only the module of the chosen one is imported, and what loads networks not before its work begins.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from lit_outpaint.system.command_line import bracketed, checked_words
from lit_outpaint.system.flags import with_nearest


class _Verb(NamedTuple):
    config: str
    """Its dataclass, ``module.Name``; the module is free of torch."""
    action: str
    """Its function, called with the configuration and with that as YAML."""
    help: str


_VERBS = {
    "run": _Verb(
        "eval.run_config.EvaluationConfig",
        "eval.run.run",
        "outpaint held-out panoramas with a checkpoint and score them next to the real ones",
    ),
    "family": _Verb(
        "eval.family_config.FamilyConfig",
        "eval.family.family",
        "score autoencoder, probe, evaluation CLIP and base model on held-out windows",
    ),
    "score": _Verb(
        "eval.score_config.ScoreConfig",
        "eval.score.score",
        "score a folder of pictures made by anybody, with captions and real pictures",
    ),
    "compbench": _Verb(
        "eval.compbench.config.CompbenchConfig",
        "eval.compbench.command.compbench",
        "score what pictures drawn from prompts show of them, statement by statement",
    ),
    "layouts": _Verb(
        "eval.layouts.config.LayoutsConfig",
        "eval.layouts.command.layouts",
        "count the things on canvases of finished outpaint runs against their captions",
    ),
    "compare": _Verb(
        "eval.compare.CompareConfig",
        "eval.compare.compare",
        "set runs on the same panoramas and seed against the first of them",
    ),
    "report": _Verb(
        "eval.report.report.ReportConfig",
        "eval.report.report.report",
        "make a page from the files of finished runs: of one, or several side by side",
    ),
    "study": _Verb(
        "eval.study.study.StudyConfig",
        "eval.study.study.study",
        "make a page of blinded pairs of pictures for people to judge",
    ),
    "study-report": _Verb(
        "eval.study.report.StudyReportConfig",
        "eval.study.report.study_report",
        "compute preferences and agreement from what people said",
    ),
}


_MADE = ("out", "cache")
"""Settings that name what a verb makes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 when it is done, 2 when the input was at fault (one line on stderr says how to mend it).
    """
    verb_parsers: dict[str, ArgumentParser] = {}
    try:
        given = checked_words(sys.argv[1:] if argv is None else argv)
        if not given:
            raise ValueError(f"eval needs a verb, one of {', '.join(_VERBS)}; --help says what they do")
        if given[0] in _VERBS:
            given = bracketed(given, _lists(_named(_VERBS[given[0]].config)))
        verb_parsers = {
            name: _verb_parser(verb) if given[:1] == [name] else ArgumentParser() for name, verb in _VERBS.items()
        }
        chosen = _parser(verb_parsers).parse_args(given)
        verb, parser, options = _VERBS[chosen.subcommand], verb_parsers[chosen.subcommand], chosen[chosen.subcommand]
        ready = parser.instantiate(options)
        config_class = _named(verb.config)
        config = config_class(**{field.name: ready[field.name] for field in fields(config_class)})
        _check_given(config)
        _action(verb)(config, parser.dump(options, skip_unset=False))
    except (ArgumentError, ValueError, FileNotFoundError, PermissionError) as error:
        parser = verb_parsers.get(given[0]) if verb_parsers and given else None
        line = _one_line(error)
        print(f"error: {with_nearest(line, parser) if parser else line}", file=sys.stderr)
        return 2
    return 0


def _lists(config_class: Any) -> list[str]:
    """The flags of a configuration that take lists."""
    kinds = {field.name: (field.type, *get_args(field.type)) for field in fields(config_class)}  # ``tuple | None`` too
    return [f"--{name}" for name, kind in kinds.items() if any(get_origin(part) is tuple for part in kind)]


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _action(verb: _Verb) -> Callable[[Any, str], object]:
    """The function of a verb; imports what the work takes."""
    action: Callable[[Any, str], object] = _named(verb.action)
    # Progress is told in our own lines; bars of the libraries would cut through them in a log.
    for library in ("diffusers", "transformers"):
        if library in sys.modules:
            import_module(f"{library}.utils.logging").disable_progress_bar()
    return action


def _check_given(config: Any) -> None:
    """Refuse a file or directory that is not there, before anything heavy is imported to look for it.

    Raises:
        FileNotFoundError: it is missing. What is written, and what was left as usual, need not be there.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, Path) or field.name in _MADE or value == field.default:
            continue
        if not value.exists():
            raise FileNotFoundError(f"--{field.name} must be there, found no {value}")


def _parser(verb_parsers: Mapping[str, ArgumentParser]) -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m eval", description="Score what the models draw, next to what is real.", exit_on_error=False
    )
    verbs = parser.add_subcommands()
    for name, verb in _VERBS.items():
        verbs.add_subcommand(name, verb_parsers[name], help=verb.help)
    return parser


def _verb_parser(verb: _Verb) -> ArgumentParser:
    # The docstring under each field of a configuration becomes its help.
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(description=f"{verb.help[0].upper()}{verb.help[1:]}.", exit_on_error=False)
    parser.add_argument("-c", "--config", action="config", help="YAML file with the options below; later flags win.")
    config_class = _named(verb.config)
    # Several values behind one flag, or behind none, which a signature cannot say.
    many = [field for field in fields(config_class) if "many" in field.metadata]
    for field in many:
        needed = {"required": True} if field.metadata["many"].startswith("-") else {}
        parser.add_argument(field.metadata["many"], type=Path, nargs="+", help=field.metadata["help"], **needed)
    parser.add_class_arguments(config_class, as_group=False, skip={field.name for field in many})
    return parser


def _one_line(error: BaseException) -> str:
    """The message without line breaks; errors of the operating system already name their file."""
    return " ".join(str(error).split()) or type(error).__name__
