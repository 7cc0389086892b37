"""``--help`` of the training verbs, made of the text of the classes that they fill (`class_text`)."""

import argparse
import re
from collections.abc import Iterable
from typing import Final

from lit_outpaint.cli.class_text import Setting, summary_of
from lit_outpaint.cli.fit_arguments import CHECKPOINT_DEFAULTS, GROUPS, TRAINER, settings_of_verb

LINKED: Final = ("checkpoint.dirpath",)
"""Settings that follow from others and cannot be given."""
CLASSES: Final = (
    "A setting marked [class] takes an object: name its class with --SETTING CLASS and its own settings with"
    " --SETTING.NAME VALUE, or write class_path and init_args in a configuration. --SETTING.help CLASS prints the"
    " settings of a class; it loads everything, which takes a while. --SETTING+ appends to a list."
)


def help_of(verb: str) -> str:
    """The help of ``fit``, ``validate``, ``test`` or ``predict``."""
    parser = argparse.ArgumentParser(
        prog=f"python -m lit_outpaint {verb}",
        usage="%(prog)s [-c CONFIG ...] [--SETTING VALUE ...]",
        description=_escaped(summary_of(*TRAINER, verb)),
        epilog=CLASSES,
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="A configuration in YAML; of several, later ones win.")
    parser.add_argument(
        "--print_config", metavar="", help="Print the configuration that all this makes, and train nothing."
    )
    settings = settings_of_verb(verb)
    _add(parser, (setting for setting in settings if not setting.inner), "")
    for group in settings:
        if group.inner:
            _add_group(parser, group, group.name, summary_of(*GROUPS[group.name]))
    return parser.format_help()


def _add_group(parser: argparse.ArgumentParser, group: Setting, place: str, told: str) -> None:
    _add(parser.add_argument_group(place, _escaped(told)), group.inner, f"{place}.")
    for setting in group.inner:
        if setting.inner:
            _add_group(parser, setting, f"{place}.{setting.name}", setting.help)


def _add(to: argparse._ActionsContainer, settings: Iterable[Setting], before: str) -> None:
    for setting in settings:
        flag = f"{before}{setting.name}"
        if setting.inner or flag in LINKED:
            continue
        default = setting.default
        if before == "checkpoint." and setting.name in CHECKPOINT_DEFAULTS:
            given = CHECKPOINT_DEFAULTS[setting.name]
            default = str(given).lower() if isinstance(given, bool) else str(given)
        kind = f"{'[class] ' * setting.takes_class}{setting.type}"
        known = f"type: {kind}, {'required' if default is None else f'default: {default}'}"
        to.add_argument(f"--{flag}", metavar=_choices(setting), help=_escaped(f"{setting.help} ({known})"))


def _choices(setting: Setting) -> str:
    """What stands for the value: its choices, where these are few words, or the name of the setting."""
    if setting.type == "bool":
        return "{true,false}"
    literal = re.fullmatch(r"Literal\[([^\]]*)\]", setting.type)
    return "{" + re.sub("[ '\"]", "", literal[1]) + "}" if literal else setting.name.upper()


def _escaped(text: str) -> str:
    """Text in which argparse looks for no placeholders."""
    return text.replace("%", "%%")
