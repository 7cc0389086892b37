"""``python -m lit_outpaint generate``: pictures of prompts, by text-to-image.

A run continues from its last finished picture whenever the same command is given again.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from lit_outpaint.chat.ledger import ledger_of
from lit_outpaint.cli.generate_rpg import RpgSettings, check_used, described, loop_summary, rpg_method
from lit_outpaint.cli.generate_rpg import add_arguments as add_rpg_arguments
from lit_outpaint.cli.generate_rpg import taken as rpg_settings
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.planning.files import read_plan_file
from lit_outpaint.planning.options import with_repeated_prompts
from lit_outpaint.runs.pictures import PictureRun, Prompt, picture_seed, read_prompts, repeated
from lit_outpaint.system.flags import with_nearest
from lit_outpaint.system.one_line import one_line
from lit_outpaint.system.text import clean

INPUT_ERRORS = (ValueError, FileNotFoundError, NotADirectoryError, PermissionError)
"""What input that is at fault raises."""


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """What to draw, with what, and where to."""

    prompt: str | None = None
    """What to draw; in place of the file's own prompt where there is a --plan_file."""
    prompts: str | None = None
    """A file of prompts instead: a line each, or .jsonl, .json or .csv with prompt and, to name pictures, id."""
    out: str
    """Directory of the run: a PNG per picture, pictures.jsonl with a line each, run.yaml with the settings."""
    model: str | None = None
    """Stable Diffusion directory, or an export of a text-to-image model; the shipped one of the method when absent."""
    method: Literal["base", "rpg", "llm4gen"] = "base"
    """base: each prompt is drawn in one go; rpg: planned first, each region with its own prompt, and with --rounds
    edited until a judge agrees; llm4gen: in one go, with features of a language model beside CLIP's. Both at once: rpg
    with a --model of llm4gen."""
    seed: int = 0
    """Same seed, same pictures, whatever the batch size."""
    num_images: int = 1
    """Pictures per prompt."""
    negative_prompt: str | None = None
    """What guidance pushes away from; the empty prompt when absent."""
    height: int | None = None
    """Height in pixels; the window the model was made for when absent."""
    width: int | None = None
    """Width in pixels; the window the model was made for when absent."""
    batch_size: int = 7
    """Pictures drawn together; does not change them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to draw."""
    dtype: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    """What convolutions and products compute in; all but float32 are for GPUs first."""

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.prompts is None):
            raise ValueError("give one of --prompt and --prompts")
        for name in ("num_images", "batch_size", "height", "width"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


MODELS = {"base": "models/scapes", "rpg": "models/scapes", "llm4gen": "models/scapes/llm4gen"}
"""Shipped models by method."""

ANYWHERE = ("out", "prompts", "device", "batch_size")
"""Settings that do not change the pictures, or stand in their records."""


def build_parser() -> ArgumentParser:
    """The parser of the verb; help is generated from the configs."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="python -m lit_outpaint generate", description="Draw pictures of prompts.", exit_on_error=False
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of the settings below.")
    parser.add_class_arguments(GenerateConfig)
    parser.add_class_arguments(Sampling)
    add_rpg_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb: 0 done, 2 the input was at fault (one line on stderr), 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    parser = build_parser()
    try:
        settings = parser.instantiate(parser.parse_args(with_repeated_prompts(arguments)))
        rpg = rpg_settings(settings)
        if settings.prompt is None and settings.prompts is None and rpg.plan.plan_file is not None:
            settings.prompt = read_plan_file(Path(rpg.plan.plan_file)).base_prompt
        config, sampling = (_taken(kind, settings) for kind in (GenerateConfig, Sampling))
        generate(config, sampling, rpg)
        return 0
    except (*INPUT_ERRORS, ArgumentError) as error:
        print(f"error: {with_nearest(one_line(error), parser)}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("interrupted; give the same command again to continue", file=sys.stderr)
        return 130


def generate(config: GenerateConfig, sampling: Sampling, rpg: RpgSettings = RpgSettings()) -> Path:
    """Draw what is missing of a run and return its directory.

    Raises:
        ValueError: settings, prompts or model do not fit, or the directory holds something else.
    """
    if sampling.uncond != "text" or {"global", "visual"} & set(sampling.conditions_left_out):
        raise ValueError(
            "text-to-image reads one caption and no picture; leave out --uncond, and global and visual of --left_out"
        )
    single = [Prompt("0000", clean(config.prompt))] if config.prompt is not None else None
    prompts = repeated(single or read_prompts(Path(str(config.prompts))), config.num_images)
    settings = {name: value for name, value in (vars(config) | vars(sampling)).items() if name not in ANYWHERE}
    planned = described(rpg)
    if config.method != "rpg" and planned:
        raise ValueError(f"--{next(iter(planned))} needs --method rpg, got --method {config.method}")
    check_used(rpg)
    settings |= planned
    if config.dtype == "float32":
        del settings["dtype"]  # As runs have it that were begun before there was a choice.
    # Nothing is written before the model is known to load.
    method: Any = None
    directory = Path(config.out)
    if not (directory / "run.yaml").is_file():
        method = _method(config, sampling, rpg)
    run = PictureRun(directory, settings)
    done = run.done()
    for prompt in prompts:
        if prompt.id in done and done[prompt.id].prompt != prompt.text:
            raise ValueError(f"--out {directory} holds {prompt.id} of another prompt, {done[prompt.id].prompt!r}")
    missing = [prompt for prompt in prompts if prompt.id not in done]
    for begin in range(0, len(missing), config.batch_size):
        method = method or _method(config, sampling, rpg)
        _draw(run, method, missing[begin : begin + config.batch_size], config)
        print(f"{len(prompts) - len(missing) + min(begin + config.batch_size, len(missing))} of {len(prompts)} drawn")
    told = [ledger_of(rpg.plan.planner).text(what="plans"), ledger_of(rpg.parts.judge).text(what="looks")]
    told.append(loop_summary(list(run.done().values())))
    print(*filter(None, told), directory, sep="\n")
    return directory


def _draw(run: PictureRun, method: Any, batch: Sequence[Prompt], config: GenerateConfig) -> None:
    """Draw a batch of prompts and write them."""
    import torch

    from lit_outpaint.models.devices import computing_in, device_named

    seeds = [picture_seed(config.seed, prompt.id) for prompt in batch]
    started = time.perf_counter()
    with computing_in(config.dtype, device_named(config.device)):
        drawn = method.draw([prompt.text for prompt in batch], [torch.Generator().manual_seed(one) for one in seeds])
    share = (time.perf_counter() - started) / len(batch)
    others = drawn.others or [{} for _ in batch]
    for prompt, pixels, own, notes, on_the_way in zip(batch, drawn.pixels, seeds, drawn.notes, others, strict=True):
        run.add(prompt, pixels, own, share, notes, on_the_way)


def _method(config: GenerateConfig, sampling: Sampling, rpg: RpgSettings) -> Any:
    """What draws; loads the model.

    Raises:
        ValueError: the model or the device is not there.
    """
    from lit_outpaint.diffusion.schedule import check_num_steps, scheduler_class
    from lit_outpaint.drawing.methods import BaseMethod
    from lit_outpaint.models.devices import computing_in, device_named
    from lit_outpaint.models.loading import quiet_loading
    from lit_outpaint.text_to_image import load_text_to_image

    computing_in(config.dtype, device_named(config.device))  # Refuses what there is not.
    quiet_loading()
    model = config.model or MODELS[config.method]
    pipeline = load_text_to_image(model).to(device_named(config.device))
    if config.method == "llm4gen" and not any(name.startswith("language") for name in pipeline.context.needs):
        raise ValueError(f"--method llm4gen needs a model that reads a language model, {config.model} does not")
    if sampling.scheduler is not None:
        pipeline.scheduler = scheduler_class(sampling.scheduler).from_config(pipeline.scheduler.config)
    check_num_steps(pipeline.scheduler, sampling.num_inference_steps)
    size = (config.height or pipeline.window_px, config.width or pipeline.window_px)
    if config.method == "rpg":
        return rpg_method(pipeline, sampling, rpg, model, size, config.negative_prompt)
    return BaseMethod(pipeline, sampling, size, config.negative_prompt)


def _taken(kind: Any, settings: Namespace) -> Any:
    """The part of the settings that a configuration holds."""
    return kind(**{field.name: settings[field.name] for field in fields(kind)})
