"""``python -m data_prep``: prepare shard sets, stage by stage or all at once, and verify them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from data_prep.config import CaptionConfig, EncodeConfig, MachineConfig, SourceConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when it is done, 2 when the input was at fault (one line on stderr says how).
    """
    words = _normalised(sys.argv[1:] if argv is None else argv)
    try:
        options = build_parser().parse_args(words)
        return _COMMANDS[options.command](options[options.command])
    except SystemExit as stop:  # --help
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("data_prep: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, ArgumentError) as error:
        print(f"data_prep: {_one_line(error)}", file=sys.stderr)
        return 2


def build_parser() -> ArgumentParser:
    """The parser of all commands, made from the config classes."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog="python -m data_prep", description=__doc__, exit_on_error=False)
    commands = parser.add_subcommands(dest="command", required=True)
    for name, (configs, needs_out, help_text) in _PARSERS.items():
        command = ArgumentParser(description=help_text, exit_on_error=False)
        if needs_out:
            command.add_argument("--out", type=str, required=True, help="directory of the shard set")
        for config in configs:
            command.add_class_arguments(config, None)
        commands.add_subcommand(name, command, help=help_text)
        if name == "all":
            command.add_argument("--source", type=Literal["scapes"], default="scapes", help="where windows come from")
            command.add_argument("--keep_work", action="store_true", help="keep intermediate files")
            command.add_argument("--overwrite", action="store_true", help="replace a set that is there already")
        if name == "verify":
            command.add_argument("directory", type=str, help="directory of the shard set")
            command.add_argument("--models", type=str | None, default=None, help="must have made the features")
    return parser


def _all(options: Namespace) -> int:
    from data_prep.pack import summary
    from data_prep.stages import run_all

    card = run_all(
        Path(options.out),
        _take(SourceConfig, options),
        _take(CaptionConfig, options),
        _take(EncodeConfig, options),
        _take(MachineConfig, options),
        keep_work=options.keep_work,
        overwrite=options.overwrite,
    )
    print(summary(card))
    return 0


def _scapes(options: Namespace) -> int:
    from data_prep.stages import scapes_stage

    work = _work(options)
    with work.lock():
        scapes_stage(work, _take(SourceConfig, options), _take(MachineConfig, options))
    return 0


def _caption(options: Namespace) -> int:
    from data_prep.stages import caption_stage

    work = _work(options)
    with work.lock():
        caption_stage(work, _take(CaptionConfig, options))
    return 0


def _encode(options: Namespace) -> int:
    from data_prep.stages import encode_stage

    work = _work(options)
    with work.lock():
        encode_stage(work, _take(EncodeConfig, options), _take(MachineConfig, options))
    return 0


def _pack(options: Namespace) -> int:
    from data_prep.pack import summary
    from data_prep.stages import pack_stage

    work = _work(options)
    with work.lock():
        print(summary(pack_stage(work)))
    return 0


def _verify(options: Namespace) -> int:
    from data_prep.pack import summary
    from data_prep.verify import verify

    card = verify(Path(options.directory), Path(options.models) if options.models else None)
    print(f"{options.directory} is whole\n{summary(card)}")
    return 0


_PARSERS: Final[dict[str, tuple[tuple[type, ...], bool, str]]] = {
    "all": ((SourceConfig, CaptionConfig, EncodeConfig, MachineConfig), True, "Prepare a whole shard set."),
    "scapes": ((SourceConfig, MachineConfig), True, "Stage 1: windows and the evaluation set of the scapes world."),
    "caption": ((CaptionConfig,), True, "Stage 2: imagine the surroundings, summarise."),
    "encode": ((EncodeConfig, MachineConfig), True, "Stage 3: features of the frozen encoders."),
    "pack": ((), True, "Stage 4: shards, index and card."),
    "verify": ((), False, "Read every byte of a shard set and recompute its card."),
}

_COMMANDS: Final[dict[str, Callable[[Namespace], int]]] = {
    "all": _all,
    "scapes": _scapes,
    "caption": _caption,
    "encode": _encode,
    "pack": _pack,
    "verify": _verify,
}


def _work(options: Namespace) -> Any:
    from data_prep.work import Work

    return Work(Path(options.out))


def _take(config: type, options: Namespace) -> Any:
    """The part of the flags that belongs to one config class."""
    values = {name: options[name] for name in config.__dataclass_fields__}  # type: ignore[attr-defined]
    return config(**values)


def _normalised(words: Sequence[str]) -> list[str]:
    """Take ``--val-windows`` for ``--val_windows``, and ``--ratios 0.5,0.25`` for ``--ratios [0.5,0.25]``."""
    result: list[str] = []
    flag = ""
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            flag = flag.replace("-", "_").replace("__", "--", 1)
            result.append(f"{flag}={_bracketed(flag, value)}" if equals else flag)
        else:
            result.append(_bracketed(flag, word))
            flag = ""
    return result


def _bracketed(flag: str, value: str) -> str:
    return f"[{value}]" if flag in ("--ratios", "--directions") and not value.startswith("[") else value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
