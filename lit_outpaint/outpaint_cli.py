"""``python -m lit_outpaint outpaint``: from a picture and a caption to a panorama on disk.

A run directory comes into being whole (it is prepared beside its place and renamed), and goes on from its last finished
step whenever the same command, or ``--resume``, is given again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
import yaml
from jaxtyping import UInt8
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from numpy import ndarray

from lit_outpaint.canvas.edits import Revisions, set_aside
from lit_outpaint.canvas.export import Format, check_formats, parse_formats
from lit_outpaint.canvas.geometry import VAE_FACTOR, Box, anchor_window
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.image_io import load_image, shrink_to_window
from lit_outpaint.canvas.plan import Plan, Rectangle, parse_plan
from lit_outpaint.canvas.store import Canvas, checksum
from lit_outpaint.captions.from_file import FileCaptioner
from lit_outpaint.captions.ledger import Prices
from lit_outpaint.captions.scene import clean
from lit_outpaint.global_view import global_view
from lit_outpaint.interrupt import Interrupt
from lit_outpaint.one_line import one_line
from lit_outpaint.outpaint_progress import Progress
from lit_outpaint.outpainter import Outpainter, OutpainterConfig, check_same_plan
from lit_outpaint.pipeline import load_pipeline, part_directories
from lit_outpaint.run_config import ANYWHERE, EDITS, PLANS, RunConfig, plan_given
from lit_outpaint.run_edits import with_edit, without_last_edit
from lit_outpaint.run_exports import write_exports_only, write_pictures
from lit_outpaint.run_record import RUN_NAME, RunRecord, fingerprint, mask_arguments, mask_secrets, versions

_CHUNK_LIMIT_PX = 256
_RESUME_MAY_SET = {"resume", "export", *ANYWHERE, *PLANS, *EDITS}
_IDENTITY_FREE = {*ANYWHERE, *PLANS, *EDITS, "out", "image", "export", "price_prompt", "price_completion"}
"""Settings that may differ when the same command is given again: the record checks plan, image and model itself."""


def build_parser() -> ArgumentParser:
    """The parser of the verb; help is generated from the configs."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="python -m lit_outpaint outpaint", description="Widen a picture step by step.", exit_on_error=False
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of the settings below.")
    parser.add_argument("--undo", action="store_true", help="With --resume: take the latest edit back.")
    parser.add_class_arguments(RunConfig)
    parser.add_class_arguments(OutpainterConfig)
    parser.add_class_arguments(Prices)
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
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted; go on with --resume and the run directory", file=sys.stderr)
        return 130
    return 0


def _outpaint(parser: ArgumentParser, settings: Namespace, arguments: Sequence[str]) -> None:
    _quiet_loading_bars()
    formats = parse_formats(settings.export or "")
    if settings.resume is not None:
        directory, record, settings = _load_resumed(parser, settings)
        if formats and record.finished:
            with _only_user_of(directory):
                print(*write_exports_only(directory, record, formats), sep="\n")
            return
        formats = formats or parse_formats(settings.export or "")
        outpainter = _build_outpainter(parser, settings, directory)
        if record.model_fingerprint != _fingerprint(settings):
            raise ValueError(
                f"the model in {settings.model} is not the one {directory} began with; give that by --model"
            )
    else:
        directory = _check_new(settings)
        image = load_image(Path(settings.image))
        outpainter = _build_outpainter(parser, settings, directory)
        plan = plan_given(settings)
        image = _fit(image, outpainter.window_px, settings.fit, plan)
        record = _describe(parser, settings, arguments, image, plan)
        if (directory / RUN_NAME).is_file():
            record = _same_run(directory, record, vars(parser.get_defaults()))
        else:
            _prepare(directory, record, image, outpainter, formats)
    with _only_user_of(directory):
        _grow(directory, record, outpainter, settings.caption, formats)
    cost = outpainter.captioner.ledger.text(Prices(**{field.name: settings[field.name] for field in fields(Prices)}))
    if cost:
        print(cost)


def _lay_out(outpainter: Outpainter, record: RunRecord, image_box: Box) -> Graph:
    """All steps of a run; refuses a captions file that has too few."""
    graph, captioner = outpainter.lay_out(_plan_of(record), image_box), outpainter.captioner.inner
    if isinstance(captioner, FileCaptioner) and len(captioner.captions) < len(graph):
        raise ValueError(
            f"the captions file must hold a caption per step, got {len(captioner.captions)} for {len(graph)} steps"
        )
    return graph


def _build_outpainter(parser: ArgumentParser, settings: Namespace, directory: Path) -> Outpainter:
    """Make the outpainter that the settings describe; the model comes last, because loading it takes longest."""
    captioner = parser.instantiate(settings).captioner
    if settings.captions is not None:
        captioner = FileCaptioner(settings.captions)
    config = OutpainterConfig(**{field.name: settings[field.name] for field in fields(OutpainterConfig)})

    def view() -> UInt8[ndarray, "_ _ 3"]:
        sampling = {name: settings[name] for name in ("seed", "num_inference_steps", "guidance_scale")}
        return global_view(Path(settings.model), clean(settings.caption), directory, **sampling)

    return Outpainter(_load_model(settings), captioner, config, view)


def _describe(
    parser: ArgumentParser, settings: Namespace, arguments: Sequence[str], image: UInt8[ndarray, "h w 3"], plan: Plan
) -> RunRecord:
    """The record of a run that is about to begin."""
    plain = yaml.safe_load(parser.dump(settings, skip_unset=False))
    return RunRecord(
        command=["outpaint", *mask_arguments(arguments)],
        config=mask_secrets({name: value for name, value in plain.items() if name not in ("config", "resume")}),
        steps=[str(plan)],
        finished=False,
        image_sha256=checksum(image),
        model_fingerprint=_fingerprint(settings),
        versions=versions(),
    )


def _grow(
    directory: Path, record: RunRecord, outpainter: Outpainter, caption: str, formats: Collection[Format]
) -> None:
    """Do what is left of the plan, then write the panorama and say so."""
    canvas, plan = Canvas.open(directory), _plan_of(record)
    graph = _lay_out(outpainter, record, canvas.image_box)
    check_same_plan(canvas, graph)
    check_formats(formats, graph.box)
    _check_room(directory, graph.box.area - canvas.box.area)
    if not record.finished or canvas.num_steps < len(graph):
        record = record.model_copy(update={"finished": False})
        record.save(directory)
    set_aside(canvas, Revisions(graph, record.edits))
    with Interrupt() as interrupt, Progress(total=len(graph), done=canvas.num_steps) as progress:
        outpainter.run(
            canvas,
            plan,
            caption,
            [progress.advance],
            edits=record.edits,
            should_stop=lambda: interrupt.requested,
        )
    if canvas.num_steps < len(graph):
        raise KeyboardInterrupt(
            f"stopped after {canvas.num_steps} of {len(graph)} steps; go on with: "
            f"python -m lit_outpaint outpaint --resume {shlex.quote(str(directory))}"
        )
    _say_cut_captions(canvas, outpainter.truncated(caption=clean(caption)))
    if graph.circumference_px is not None:
        print(f"the ring is {graph.circumference_px} px around")
    print(*write_pictures(canvas, directory, record, formats), sep="\n")
    record.model_copy(update={"finished": True}).save(directory)


def _check_room(directory: Path, more_px: int) -> None:
    """Refuse a canvas that the disk cannot hold if its pixels do not compress, before anything is drawn."""
    place = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    wanted, room = 3 * more_px, shutil.disk_usage(place)
    if wanted > room.free and room.total:  # A file system without a size is refused when it is written to.
        raise ValueError(
            f"the canvas may take {wanted / 1e9:.2g} GB more, but only {room.free / 1e9:.2g} GB are left for "
            f"{directory}; free some, or draw less"
        )


def _say_cut_captions(canvas: Canvas, of_global: dict[str, str]) -> None:
    num_local = sum("local" in record.truncated for record in canvas.journal)
    if of_global:
        print(f"the caption is longer than the text encoder reads; not read: {of_global['caption']}")
    if num_local:
        print(f"{num_local} local captions were longer than the text encoder reads; see steps.jsonl")


def _check_new(settings: Namespace) -> Path:
    """Refuse what can be refused before anything is loaded."""
    for name in ("image", "caption", "out"):
        if settings[name] is None:
            raise ValueError(f"outpaint needs --{name} (or --resume DIR to go on with a run)")
    if not plan_given(settings).parts:
        raise ValueError(f"outpaint needs a plan, one of --{', --'.join(PLANS)}")
    for name in EDITS:
        if settings[name] is not None and settings[name] is not False:
            raise ValueError(f"--{name} needs --resume and the run to edit")
    clean(settings.caption)
    directory = Path(settings.out)
    if directory.is_dir() and any(directory.iterdir()) and not (directory / RUN_NAME).is_file():
        raise ValueError(f"--out must be a new directory or a run, but {directory} holds other files")
    parent = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"--out {directory} cannot be written: {parent} is not a writable directory")
    return directory


def _fit(image: UInt8[ndarray, "h w 3"], window_px: int, fit: str, plan: Plan) -> UInt8[ndarray, "fh fw 3"]:
    """Check that the picture holds a window; scale it if that is asked for, trim it where the plan needs it."""
    anchor_window(_box_of(image), window_px)
    fitted = image if fit == "keep" else shrink_to_window(image, window_px)
    before, after = _box_of(image), _box_of(fitted)
    if before != after:
        print(f"image: {before.width} x {before.height} px scaled to {after.width} x {after.height} px")
    width, height = (side - side % VAE_FACTOR for side in (after.width, after.height))
    if any(isinstance(part, Rectangle) for part in plan) and (width, height) != (after.width, after.height):
        print(f"image: trimmed to {width} x {height} px, because a rectangle is filled in cells of {VAE_FACTOR} px")
        fitted = fitted[:height, :width]
    return fitted


def _box_of(image: UInt8[ndarray, "h w 3"]) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def _prepare(
    directory: Path,
    record: RunRecord,
    image: UInt8[ndarray, "h w 3"],
    outpainter: Outpainter,
    formats: Collection[Format],
) -> None:
    """Make the run directory with the first image: whole, or not at all."""
    extent = _lay_out(outpainter, record, _box_of(image)).box
    check_formats(formats, extent)
    _check_room(directory, extent.area)
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


def _same_run(directory: Path, wanted: RunRecord, defaults: Mapping[str, Any]) -> RunRecord:
    """The record of a run that was started by the same command; refuses any other."""
    found = RunRecord.load(directory)
    before = {**defaults, **found.config}  # A run from before a setting came to be has its default.
    differing = [name for name in wanted.config if name not in _IDENTITY_FREE and before[name] != wanted.config[name]]
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
        raise ValueError(
            f"with --resume only --{', --'.join(sorted(_RESUME_MAY_SET - {'resume'}))} may be given, got --{refused[0]}"
        )
    directory = Path(given.resume)
    record = RunRecord.load(directory)
    settings = parser.parse_object({**record.config, "resume": str(directory)})
    for name in ANYWHERE:
        if given[name] != defaults[name]:
            settings[name] = given[name]
    added = plan_given(given)
    changes = [bool(added.parts), given.edit_step is not None, given.undo]
    if sum(changes) > 1:
        raise ValueError("with --resume steps are added, or a step is edited, or an edit is undone: one at a time")
    if given.edit_step is None and (given.edit_caption is not None or given.edit_seed is not None):
        raise ValueError("--edit_caption and --edit_seed need --edit_step, the step that is drawn again")
    if added.parts:
        record = _with_steps(record, str(added))
    elif given.edit_step is not None:
        record = with_edit(record, directory, given.edit_step, given.edit_caption, given.edit_seed, settings.seed)
    elif given.undo:
        record = without_last_edit(record)
    return directory, record, settings


def _with_steps(record: RunRecord, added: str) -> RunRecord:
    """The record with more steps; the same addition again, while it is not finished, means: go on with it."""
    if not record.finished and record.steps[-1] == added and len(record.steps) > 1:
        return record
    return record.model_copy(update={"steps": [*record.steps, added], "finished": False})


def _plan_of(record: RunRecord) -> Plan:
    """The whole plan, with what was added to it."""
    return sum(map(parse_plan, record.steps), Plan())


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
