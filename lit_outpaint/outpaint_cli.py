"""``python -m lit_outpaint outpaint``: from a picture and a caption to a panorama on disk.

A run directory comes into being whole (it is prepared beside its place and renamed), and goes on from its last finished
step whenever the same command, or ``--resume``, is given again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
import transformers
import yaml
from jaxtyping import UInt8
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from numpy import ndarray

from lit_outpaint.canvas.export import MAX_PNG_SIDE, write_png
from lit_outpaint.canvas.geometry import Box, anchor_window
from lit_outpaint.canvas.image_io import load_image, shrink_to_window
from lit_outpaint.canvas.plan import Plan, parse_steps
from lit_outpaint.canvas.store import Canvas, checksum
from lit_outpaint.captions.from_file import FileCaptioner
from lit_outpaint.captions.scene import clean
from lit_outpaint.outpaint_progress import Progress
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import load_pipeline, part_directories
from lit_outpaint.protocols import Captioner
from lit_outpaint.run_record import RUN_NAME, RunRecord, fingerprint, mask_arguments, mask_secrets, versions

PANORAMA_NAME = "panorama.png"
_CHUNK_LIMIT_PX = 256
_RESUME_MAY_SET = {"resume", "steps", "model", "device"}
_IDENTITY_FREE = {"device", "out", "model", "steps", "image"}
"""Settings that may differ when the same command is given again: the record checks steps, image and model itself."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What to outpaint, and where to."""

    image: str | None = None
    """The picture to widen, at least one window large."""
    caption: str | None = None
    """Global caption: the whole scene, as wide as it will become."""
    steps: str | None = None
    """Which side grows how often, in order: right:8,left:4. With --resume: steps to add."""
    out: str | None = None
    """Run directory to make: panorama.png, canvas.zarr, steps.jsonl, run.yaml."""
    resume: str | None = None
    """Run directory to go on with; only --steps, --model and --device go with it."""
    model: str = "models/scapes/outpaint"
    """Directory of an outpainting pipeline, as export writes it."""
    captions: str | None = None
    """File with one local caption per step (text or YAML); without it the captioner writes them."""
    captioner: Captioner | None = None
    """Who writes local captions, by class_path; rules when absent."""
    fit: Literal["shrink", "keep"] = "shrink"
    """A picture larger than a window: scale its shorter side to one window, or keep it and grow around its middle."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""


def build_parser() -> ArgumentParser:
    """The parser of the verb; help is generated from the configs."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="python -m lit_outpaint outpaint", description="Widen a picture step by step.", exit_on_error=False
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of the settings below.")
    parser.add_class_arguments(RunConfig)
    parser.add_class_arguments(OutpainterConfig)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb: 0 done, 2 the input was at fault (one line on stderr), 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        parser = build_parser()
        settings = parser.parse_args(arguments)
        _outpaint(parser, settings, arguments)
    except (ValueError, ArgumentError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("interrupted; go on with --resume and the run directory", file=sys.stderr)
        return 130
    return 0


def _outpaint(parser: ArgumentParser, settings: Namespace, arguments: Sequence[str]) -> None:
    _quiet_loading_bars()
    if settings.resume is not None:
        directory, record, settings = _load_resumed(parser, settings)
        outpainter = _build_outpainter(parser, settings, _plan_of(record))
        if record.model_fingerprint != _fingerprint(settings):
            raise ValueError(
                f"the model in {settings.model} is not the one {directory} began with; give that by --model"
            )
    else:
        directory = _check_new(settings)
        image = load_image(Path(settings.image))
        outpainter = _build_outpainter(parser, settings, parse_steps(settings.steps))
        image = _fit(image, outpainter.window_px, settings.fit)
        record = _describe(parser, settings, arguments, image)
        if (directory / RUN_NAME).is_file():
            record = _same_run(directory, record)
        else:
            _prepare(directory, record, image, outpainter)
    with _only_user_of(directory):
        _grow(directory, record, outpainter, settings.caption)


def _build_outpainter(parser: ArgumentParser, settings: Namespace, plan: Plan) -> Outpainter:
    """Make the outpainter that the settings describe; the model comes last, because loading it takes longest."""
    captioner = parser.instantiate(settings).captioner
    if settings.captions is not None:
        captioner = FileCaptioner(settings.captions)
    if isinstance(captioner, FileCaptioner) and len(captioner.captions) < len(plan):
        raise ValueError(
            f"the captions file must hold a caption per step, got {len(captioner.captions)} for {len(plan)} steps"
        )
    config = OutpainterConfig(**{field.name: settings[field.name] for field in fields(OutpainterConfig)})
    return Outpainter(_load_model(settings), captioner, config)


def _describe(
    parser: ArgumentParser, settings: Namespace, arguments: Sequence[str], image: UInt8[ndarray, "h w 3"]
) -> RunRecord:
    """The record of a run that is about to begin."""
    plain = yaml.safe_load(parser.dump(settings, skip_unset=False))
    return RunRecord(
        command=["outpaint", *mask_arguments(arguments)],
        config=mask_secrets({name: value for name, value in plain.items() if name not in ("config", "resume")}),
        steps=[str(parse_steps(settings.steps))],
        finished=False,
        image_sha256=checksum(image),
        model_fingerprint=_fingerprint(settings),
        versions=versions(),
    )


def _grow(directory: Path, record: RunRecord, outpainter: Outpainter, caption: str) -> None:
    """Do what is left of the plan, then write the panorama and say so."""
    canvas, plan = Canvas.open(directory), _plan_of(record)
    if canvas.num_steps > len(plan):
        raise ValueError(f"{directory} holds {canvas.num_steps} steps, more than the {len(plan)} of its {RUN_NAME}")
    if not record.finished or canvas.num_steps < len(plan):
        record = record.model_copy(update={"finished": False})
        record.save(directory)
    with Progress(total=len(plan), done=canvas.num_steps) as progress:
        outpainter.run(canvas, plan, caption, [progress.advance])
    _say_cut_captions(canvas, outpainter.truncated(caption=clean(caption)))
    box = canvas.box
    panorama = directory / PANORAMA_NAME
    if write_png(canvas, panorama):
        print(f"{panorama}: {box.width} x {box.height} px after {canvas.num_steps} steps")
    else:
        panorama.unlink(missing_ok=True)  # An earlier, shorter one.
        print(f"{directory}/canvas.zarr: {box.width} x {box.height} px; a PNG has at most {MAX_PNG_SIDE} px a side")
    record.model_copy(update={"finished": True}).save(directory)


def _say_cut_captions(canvas: Canvas, of_global: dict[str, str]) -> None:
    num_local = sum("local" in record.truncated for record in canvas.journal)
    if of_global:
        print(f"the caption is longer than the text encoder reads; not read: {of_global['caption']}")
    if num_local:
        print(f"{num_local} local captions were longer than the text encoder reads; see steps.jsonl")


def _check_new(settings: Namespace) -> Path:
    """Refuse what can be refused before anything is loaded."""
    for name in ("image", "caption", "steps", "out"):
        if settings[name] is None:
            raise ValueError(f"outpaint needs --{name} (or --resume DIR to go on with a run)")
    clean(settings.caption)
    directory = Path(settings.out)
    if directory.is_dir() and any(directory.iterdir()) and not (directory / RUN_NAME).is_file():
        raise ValueError(f"--out must be a new directory or a run, but {directory} holds other files")
    parent = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"--out {directory} cannot be written: {parent} is not a writable directory")
    return directory


def _fit(image: UInt8[ndarray, "h w 3"], window_px: int, fit: str) -> UInt8[ndarray, "fh fw 3"]:
    """Check that the picture holds a window, and scale it to one if that is asked for."""
    anchor_window(_box_of(image), window_px)
    if fit == "keep":
        return image
    fitted = shrink_to_window(image, window_px)
    if fitted.shape != image.shape:
        before, after = _box_of(image), _box_of(fitted)
        print(f"image: {before.width} x {before.height} px scaled to {after.width} x {after.height} px")
    return fitted


def _box_of(image: UInt8[ndarray, "h w 3"]) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def _prepare(directory: Path, record: RunRecord, image: UInt8[ndarray, "h w 3"], outpainter: Outpainter) -> None:
    """Make the run directory with the first image: whole, or not at all."""
    extent = _plan_of(record).extent(_box_of(image), outpainter.stride_px, outpainter.window_px)
    partial = directory.absolute().parent / f".{directory.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        Canvas.create(partial, image, extent, chunk_px=min(outpainter.window_px, _CHUNK_LIMIT_PX))
        record.save(partial)
        partial.rename(directory)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ValueError(f"--out {directory} cannot be written: {error.strerror}") from error


def _same_run(directory: Path, wanted: RunRecord) -> RunRecord:
    """The record of a run that was started by the same command; refuses any other."""
    found = RunRecord.load(directory)
    differing = [
        name for name in wanted.config if name not in _IDENTITY_FREE and found.config.get(name) != wanted.config[name]
    ]
    differing += ["steps"] if found.steps != wanted.steps else []
    differing += ["image"] if found.image_sha256 != wanted.image_sha256 else []
    differing += ["model"] if found.model_fingerprint != wanted.model_fingerprint else []
    if differing:
        raise ValueError(
            f"{directory} holds another run ({', '.join(differing)} differ); choose another --out, or use --resume"
        )
    return found


def _load_resumed(parser: ArgumentParser, given: Namespace) -> tuple[Path, RunRecord, Namespace]:
    """The run directory, its record with any added steps, and its settings."""
    defaults = vars(parser.get_defaults())
    refused = [name for name in defaults if name not in _RESUME_MAY_SET and given.get(name) != defaults[name]]
    if refused:
        raise ValueError(f"with --resume only --steps, --model and --device may be given, got --{refused[0]}")
    directory = Path(given.resume)
    record = RunRecord.load(directory)
    settings = parser.parse_object({**record.config, "resume": str(directory)})
    for name in ("model", "device"):
        if given[name] != defaults[name]:
            settings[name] = given[name]
    if given.steps is not None:
        added = str(parse_steps(given.steps))
        # The same addition again, while it is not finished, means: go on with it.
        if record.finished or record.steps[-1] != added or len(record.steps) == 1:
            record = record.model_copy(update={"steps": [*record.steps, added], "finished": False})
    return directory, record, settings


def _plan_of(record: RunRecord) -> Plan:
    """The whole plan, with what was added to it."""
    return sum(map(parse_steps, record.steps), Plan(()))


def _load_model(settings: Namespace) -> Any:
    pipeline = load_pipeline(settings.model)
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use, there is none; use --device cpu")
    return pipeline.to(device)


def _fingerprint(settings: Namespace) -> str:
    return fingerprint(part_directories(Path(settings.model)))


@contextlib.contextmanager
def _only_user_of(directory: Path) -> Iterator[None]:
    """Hold a lock on the directory; it goes with the process, however that ends."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ValueError(f"another process is at work on {directory}; wait for it or stop it") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _quiet_loading_bars() -> None:
    """Loading weights takes a moment; its bars would only clutter logs."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else text[:397] + "..."
