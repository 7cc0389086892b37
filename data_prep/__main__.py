"""``python -m data_prep``: prepare shard sets, stage by stage or all at once, and verify them."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from data_prep.coco.config import CocoConfig
from data_prep.config import CallConfig, CaptionConfig, EncodeConfig, MachineConfig, ScapesConfig
from data_prep.dense_prompts import DensePromptsConfig, write_dense_prompts
from data_prep.scapes.compbench.command import CompbenchConfig, write_compbench
from data_prep.scapes.rectangles import CAPTIONS_NAME, RectanglesConfig, write_rectangles
from lit_outpaint.data.prompts import known_pictures_dir, true_pictures_dir
from lit_outpaint.models.language import LanguageConfig
from lit_outpaint.system.command_line import bracketed, checked_words
from lit_outpaint.system.freed_memory import keep_freed_memory
from lit_outpaint.system.one_line import one_line
from lit_outpaint.system.ranks import ALONE, RankConfig, Share, find_share
from lit_outpaint.system.threads import settle_threads


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when it is done, 2 when the input was at fault (one line on stderr says how).
    """
    if argv is None:
        settle_threads()
        keep_freed_memory()
    try:
        words = _normalised(checked_words(sys.argv[1:] if argv is None else argv))
        parser = build_parser(_source(words))
        options = parser.instantiate(parser.parse_args(words))
        return _COMMANDS[options.command](options[options.command])
    except SystemExit as stop:  # --help
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("data_prep: interrupted; the same command continues from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, ArgumentError) as error:
        print(f"data_prep: {one_line(error)}", file=sys.stderr)
        return 2


def build_parser(source: str = "scapes") -> ArgumentParser:
    """The parser of all commands, made from the config classes.

    Args:
        source: whose flags the command ``all`` takes, and no other's.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True, subclasses_enabled=[LanguageConfig])
    parser = ArgumentParser(prog="python -m data_prep", description=__doc__, exit_on_error=False)
    commands = parser.add_subcommands(dest="command", required=True)
    for name, (configs, needs_out, help_text) in _PARSERS.items():
        command = ArgumentParser(description=help_text, exit_on_error=False)
        if needs_out:
            command.add_argument("--out", type=str, required=True, help="directory of the shard set")
            command.add_argument("-c", "--config", action="config", help="YAML file with any of the settings below")
        for config in (_SOURCES[source], *configs) if name == "all" else configs:
            command.add_class_arguments(config, None)
        commands.add_subcommand(name, command, help=help_text)
        if name == "all":
            names = Literal["scapes", "coco"]
            command.add_argument("--source", type=names, default="scapes", help="where windows come from")
            command.add_argument("--keep_work", action="store_true", help="keep intermediate files")
            command.add_argument("--overwrite", action="store_true", help="replace a set that is there; starts over")
        if name == "caption":
            help_text = "say what the captions would cost; ask nothing, write nothing"
            command.add_argument("--dry_run", action="store_true", help=help_text)
        if name in ("verify", "texts"):
            command.add_argument("directory", type=str, help="directory of the shard set")
        if name == "texts":
            kinds, splits = Literal["local", "imaginary", "global"], Literal["train", "val"]
            command.add_argument("--kind", type=kinds, default="global", help="which captions")
            command.add_argument("--split", type=splits, default="train", help="of which samples")
        if name == "verify":
            command.add_argument("--models", type=str | None, default=None, help="must have made the features")
            command.add_argument(
                "--vision", type=str | None, default=None, help="with models: the CLIP given to encode"
            )
    return parser


def _all(options: Namespace) -> int:
    from data_prep.pack import summary
    from data_prep.stages import run_all

    if find_share(RankConfig(), os.environ) != ALONE:
        raise ValueError(
            "`all` runs as one process; with many ranks run its stages one after the other, see docs/data.md"
        )
    card = run_all(
        Path(options.out),
        _take(_SOURCES[options.source], options),
        _take(CaptionConfig, options),
        _encoders(options),
        _take(MachineConfig, options),
        _take(CallConfig, options),
        keep_work=options.keep_work,
        overwrite=options.overwrite,
    )
    print(summary(card))
    return 0


def _source_stage(config: type, options: Namespace) -> int:
    from data_prep.published import check_only_ours
    from data_prep.source import run_source
    from data_prep.stages import make_source

    source, machine, share = make_source(_take(config, options)), _take(MachineConfig, options), _share(options)
    told = source.settings()  # Refuses missing input before the first file is written.
    work = _work(options)
    check_only_ours(work)
    with work.lock(share):
        run_source(work, source, told, machine, share)
    return 0


def _caption(options: Namespace) -> int:
    from data_prep.dry_run import dry_run
    from data_prep.stages import caption_stage

    work, machine, share = _begun(options), _take(MachineConfig, options), _share(options)
    caption, call = _take(CaptionConfig, options), _take(CallConfig, options)
    if options.dry_run:
        print(dry_run(work, caption, call, share))
        return 0
    with work.lock(share):
        caption_stage(work, caption, call, machine, share)
    return 0


def _encode(options: Namespace) -> int:
    from data_prep.stages import encode_stage

    work, share = _begun(options), _share(options)
    with work.lock(share):
        encode_stage(work, _encoders(options), _take(MachineConfig, options), share)
    return 0


def _pack(options: Namespace) -> int:
    from data_prep.pack import summary
    from data_prep.stages import pack_stage

    work = _begun(options)
    with work.lock():
        print(summary(pack_stage(work, _take(MachineConfig, options))))
        work.end()
    return 0


def _verify(options: Namespace) -> int:
    from lit_outpaint.data.shard_set import load_card

    if options.vision is not None and options.models is None:
        raise ValueError("--vision names the CLIP that was given to encode beside --models; give that, too")
    load_card(Path(options.directory))  # Refuses what is no shard set before torch is loaded to read it.
    from data_prep.pack import summary
    from data_prep.verify import verify
    from lit_outpaint.models.single_file import family_directory

    models = None if options.models is None else family_directory(options.models)
    card = verify(Path(options.directory), models, options.vision)
    print(f"{options.directory} is whole\n{summary(card)}")
    return 0


def _texts(options: Namespace) -> int:
    from data_prep.texts import texts

    try:
        for text in texts(Path(options.directory), options.kind, options.split):
            print(text)
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever reads has enough, `head` for example; nothing is to be written at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _compbench(options: Namespace) -> int:
    config = _take(CompbenchConfig, options)
    count = write_compbench(config)
    known = f"; windows before the steps: {known_pictures_dir(config.out)}" if config.per_step else ""
    print(f"{count} prompts: {config.out}; true pictures: {config.pictures or true_pictures_dir(config.out)}{known}")
    return 0


def _dense_prompts(options: Namespace) -> int:
    config, call = _take(DensePromptsConfig, options), _take(CallConfig, options)
    count, ledger = write_dense_prompts(config, call)
    if cost := ledger.text(call, "dense prompts"):
        print(cost)
    print(f"{count} dense prompts: {config.out}")
    return 0


def _rectangles(options: Namespace) -> int:
    config = _take(RectanglesConfig, options)
    print(f"{write_rectangles(config)} first windows: {config.out}; their captions: {config.out / CAPTIONS_NAME}")
    return 0


_SOURCES: Final[dict[str, type]] = {"scapes": ScapesConfig, "coco": CocoConfig}

_PARSERS: Final[dict[str, tuple[tuple[type, ...], bool, str]]] = {
    "all": ((CaptionConfig, CallConfig, EncodeConfig, MachineConfig), True, "Prepare a whole shard set."),
    "scapes": ((ScapesConfig, MachineConfig, RankConfig), True, "Stage 1: windows and evaluation set of scapes."),
    "coco": ((CocoConfig, MachineConfig, RankConfig), True, "Stage 1: windows and captions of MS-COCO."),
    "caption": (
        (CaptionConfig, CallConfig, MachineConfig, RankConfig),
        True,
        "Stage 2: imagine the surroundings, summarise.",
    ),
    "encode": ((EncodeConfig, MachineConfig, RankConfig), True, "Stage 3: features of the frozen encoders."),
    "pack": ((MachineConfig,), True, "Stage 4: shards, index and card."),
    "verify": ((), False, "Read every byte of a shard set and recompute its card."),
    "texts": ((), False, "Print the captions of a shard set, one a line."),
    "compbench": ((CompbenchConfig,), False, "Write prompts with ground truth, and true pictures of them."),
    "dense_prompts": ((DensePromptsConfig, CallConfig), False, "Write long prompts of short captions."),
    "rectangles": ((RectanglesConfig,), False, "Write first windows and captions of canvases to be laid out."),
}

_COMMANDS: Final[dict[str, Callable[[Namespace], int]]] = {
    "all": _all,
    "scapes": partial(_source_stage, ScapesConfig),
    "coco": partial(_source_stage, CocoConfig),
    "caption": _caption,
    "encode": _encode,
    "pack": _pack,
    "verify": _verify,
    "texts": _texts,
    "compbench": _compbench,
    "dense_prompts": _dense_prompts,
    "rectangles": _rectangles,
}


def _share(options: Namespace) -> Share:
    return find_share(_take(RankConfig, options), os.environ)


def _source(words: Sequence[str]) -> str:
    """The source that the words ask for, since the flags of ``all`` depend on it."""
    given = [after for word, after in zip(words, [*words[1:], ""], strict=True) if word == "--source"]
    given += [word.removeprefix("--source=") for word in words if word.startswith("--source=")]
    if not given:
        files = [after for word, after in zip(words, [*words[1:], ""], strict=True) if word in ("-c", "--config")]
        files += [word.removeprefix("--config=") for word in words if word.startswith("--config=")]
        given = [source for file in files if (source := _source_in(Path(file)))]
    return given[-1] if given and given[-1] in _SOURCES else "scapes"


def _source_in(file: Path) -> str:
    """The source that a YAML file of settings names; what is wrong with the file, the parser says."""
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""
    return str(settings.get("source", "")) if isinstance(settings, dict) else ""


def _work(options: Namespace) -> Any:
    from data_prep.work import Work

    return Work(Path(options.out))


def _encoders(options: Namespace) -> EncodeConfig:
    """The flags of encoding, with a model family that comes as one file unpacked."""
    config: EncodeConfig = _take(EncodeConfig, options)
    if not config.models.endswith(".safetensors"):
        return config
    # Takes seconds to load.
    from lit_outpaint.models.single_file import family_directory

    return replace(config, models=family_directory(config.models, config.models_config))


def _begun(options: Namespace) -> Any:
    """The work of an earlier stage; one that is not there is refused rather than made."""
    work = _work(options)
    if not work.root.is_dir():
        raise ValueError(f"--out must hold the stages before this one, found no directory {work.root}")
    return work


def _take(config: type, options: Namespace) -> Any:
    """The part of the flags that belongs to one config class."""
    values = {name: options[name] for name in config.__dataclass_fields__}  # type: ignore[attr-defined]
    return config(**values)


def _normalised(words: Sequence[str]) -> list[str]:
    """Take ``--val-windows`` for ``--val_windows``, and ``--ratios 0.5,0.25`` for ``--ratios [0.5,0.25]``."""
    result: list[str] = []
    for word in words:
        flag, equals, value = word.partition("=")
        named = word.startswith("--")
        result.append(flag.replace("-", "_").replace("__", "--", 1) + equals + value if named else word)
    return bracketed(result, ("--ratios", "--directions", "--panorama_directions", "--categories"))


if __name__ == "__main__":
    sys.exit(main())
