"""Run directories: refused, made, recognised and continued.

A run directory comes into being whole: it is prepared beside its place and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jaxtyping import UInt8
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from numpy import ndarray

from lit_outpaint.canvas.export.formats import Format, check_formats
from lit_outpaint.canvas.geometry import VAE_FACTOR, Box, anchor_window
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.image_io import enlarge_to_window, shrink_to_window
from lit_outpaint.canvas.plan import Plan, Rectangle
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.captions.from_file import FileCaptioner
from lit_outpaint.runs.config import ROLES, plan_given, settings_that
from lit_outpaint.system.one_line import one_line
from lit_outpaint.system.text import clean
from lit_outpaint.runs.edits import check_settled, with_edit, without_last_edit
from lit_outpaint.runs.fingerprint import fingerprint
from lit_outpaint.runs.global_view import check_global_view
from lit_outpaint.runs.layouts import AUTO, keep_layout, new_layout, show_layout
from lit_outpaint.runs.record import RUN_NAME, OutpaintRecord, plan_of

if TYPE_CHECKING:
    from lit_outpaint.outpainter import Outpainter

INPUT_ERRORS: Final = (ValueError, FileNotFoundError, NotADirectoryError, PermissionError)
"""What input that is at fault raises."""
_CHUNK_LIMIT_PX = 256


def check_new(settings: Namespace) -> Path:
    """Refuse what can be refused before anything is loaded; return the run directory."""
    check_asked(settings, ("image", "caption", "out"))
    directory = Path(settings.out)
    if directory.is_dir() and any(directory.iterdir()) and not (directory / RUN_NAME).is_file():
        raise ValueError(f"--out must be a new directory or a run, but {directory} holds other files")
    check_writable(directory)
    return directory


def check_asked(settings: Namespace, needed: Sequence[str]) -> None:
    """Refuse a command that lacks a setting or a plan, or that edits a run it does not name."""
    for name in needed:
        if settings[name] is None:
            raise ValueError(f"outpaint needs --{name} (or --resume DIR to continue a run)")
    if not plan_given(settings).parts:
        raise ValueError(f"outpaint needs a plan, one of --{', --'.join(settings_that('adds'))}")
    for name in settings_that("edits"):
        if settings[name] is not None and settings[name] is not False:
            raise ValueError(f"--{name} needs --resume and the run to edit")


def check_used(settings: Namespace) -> None:
    """Refuse settings of a new run that would change nothing."""
    many = settings.image is not None and Path(settings.image).is_dir()
    describes = many and settings.caption is None and settings.captions_from is None
    laid_out = settings.layout is not None
    unused = {
        "captions": (laid_out, "with --layout, which writes the local captions"),
        "captioner": (laid_out and not describes, "with --layout, which writes the local captions"),
        "captions_from": (not many, "without a directory of pictures as --image"),
        "image_caption": (settings.layout != AUTO, f"without --layout {AUTO}"),
        "scorer": (settings.candidates == 1, "without --candidates"),
    }
    for name, (is_unused, where) in unused.items():
        if settings[name] is not None and is_unused:
            raise ValueError(f"--{name} has no effect {where}; leave one of them out")
    if settings.global_with_layout == "whole" and not laid_out:
        raise ValueError("--global_with_layout has no effect without --layout; leave one of them out")


def check_writable(directory: Path) -> None:
    """Refuse a directory that cannot be made or written to."""
    parent = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"--out {directory} cannot be written: {parent} is not a writable directory")


def fit_image(image: UInt8[ndarray, "h w 3"], window_px: int, fit: str, plan: Plan) -> UInt8[ndarray, "fh fw 3"]:
    """Scale the picture to the window if that is asked for, check that it holds one, trim it where the plan needs it.

    Raises:
        ValueError: the picture is too small.
    """
    fitted = image if fit == "keep" else enlarge_to_window(shrink_to_window(image, window_px), window_px)
    anchor_window(box_of(fitted), window_px)
    before, after = box_of(image), box_of(fitted)
    if before != after:
        print(f"image: {before.width} x {before.height} px scaled to {after.width} x {after.height} px")
    width, height = (side - side % VAE_FACTOR for side in (after.width, after.height))
    if any(isinstance(part, Rectangle) for part in plan) and (width, height) != (after.width, after.height):
        print(f"image: trimmed to {width} x {height} px, because a rectangle is filled in cells of {VAE_FACTOR} px")
        fitted = fitted[:height, :width]
    return fitted


def box_of(image: UInt8[ndarray, "h w 3"]) -> Box:
    """Where a first image lies on its canvas."""
    return Box(0, 0, image.shape[1], image.shape[0])


def prepare(
    directory: Path,
    record: OutpaintRecord,
    image: UInt8[ndarray, "h w 3"],
    graph: Graph,
    outpainter: Outpainter,
    formats: Collection[Format],
) -> None:
    """Make the run directory with the first image: whole, or not at all.

    One that another process has begun meanwhile is left to it.

    Raises:
        ValueError: another process is making it, it cannot be written, or what it is for cannot be drawn.
    """
    outpainter.check_joint(graph, range(len(graph)))
    if outpainter.config.visual_source == "image_from_global_caption":
        check_global_view(Path(record.config["model"]))
    extent = graph.box
    layout = new_layout(record, graph, box_of(image), outpainter.config, outpainter.window_px)
    check_formats(formats, extent)
    check_room(directory, box_of(image).area + int(graph.new_px().sum()))
    place = directory.resolve()  # A link to an empty directory stays a link.
    partial = place.parent / f".{place.name}.partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)  # One that is there nobody holds any longer, or it is refused.
        with only_user_of(partial, directory), contextlib.ExitStack() as on_failure:
            on_failure.callback(shutil.rmtree, partial, ignore_errors=True)
            if (place / RUN_NAME).is_file():
                return
            for leftover in partial.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            Canvas.create(partial, image, extent, chunk_px=min(outpainter.window_px, _CHUNK_LIMIT_PX))
            record.save(partial)
            if layout is not None:
                keep_layout(partial, 0, layout)
                show_layout(partial, layout)
            partial.rename(place)
            on_failure.pop_all()  # From here on the name may be another process's.
    except OSError as error:
        raise ValueError(f"--out {directory} cannot be written: {error.strerror}") from error


def same_run(directory: Path, wanted: OutpaintRecord, defaults: Mapping[str, Any]) -> OutpaintRecord:
    """The record of a run that was started by the same command; refuses any other."""
    found = OutpaintRecord.load(directory)
    before = {**defaults, **found.config}  # A run from before a setting came to be has its default.
    differing = [name for name in wanted.config if ROLES[name].identity and before[name] != wanted.config[name]]
    differing += ["steps"] if found.steps != wanted.steps else []
    differing += ["image"] if found.image_sha256 != wanted.image_sha256 else []
    model = wanted.model_fingerprint
    if found.model_fingerprint != model:  # The run may be from before models were looked at as closely.
        model = fingerprint(wanted.config["model"], like=found.model_fingerprint)
    differing += ["model"] if found.model_fingerprint != model else []
    if differing:
        raise ValueError(
            f"{directory} holds another run ({', '.join(differing)} differ); choose another --out, or use --resume"
        )
    return found


def check_resumed(named: Collection[str], directory: Path) -> None:
    """Refuse to resume what is no run, or with a setting that a run keeps.

    Args:
        named: the settings that the command gives, even if by their defaults.
        directory: of the run.
    """
    refused = [name for name in settings_that("refused") if name in named]
    if refused:
        may = sorted(ROLES.keys() - {*settings_that("refused"), "resume"})
        raise ValueError(f"with --resume only --{', --'.join(may)} may be given, got --{refused[0]}")
    OutpaintRecord.load(directory)


def load_resumed(
    parser: ArgumentParser, given: Namespace, named: Collection[str]
) -> tuple[Path, OutpaintRecord, Namespace]:
    """The run directory, its record with any added steps, and its settings.

    Args:
        parser: of the verb.
        given: settings of the command.
        named: those of them that the command itself gives; see `check_resumed`.
    """
    directory = Path(given.resume)
    record = OutpaintRecord.load(directory)
    settings = _settings_of(parser, record, directory)
    for name in settings_that("replaces"):
        if name in named:
            settings[name] = given[name]
    added = plan_given(given)
    changes = [bool(added.parts), given.edit_step is not None, given.undo, given.layout is not None]
    if sum(changes) > 1:
        raise ValueError(
            "with --resume steps are added, or a step or the layout is edited, or an edit is undone: one at a time"
        )
    if given.layout is not None and settings.layout is None:
        raise ValueError(f"--layout with --resume needs a run that has a layout, {directory} was drawn without one")
    if given.edit_step is None and any(given[name] is not None for name in ("edit_caption", "edit_seed", "candidate")):
        raise ValueError("--edit_caption, --edit_seed and --candidate need --edit_step, the step that they are for")
    if given.layout is not None and record.pending == "undo":
        check_settled(record, directory)
    if added.parts:
        record = _with_steps(record, directory, str(added))
    elif given.edit_step is not None:
        record = with_edit(record, directory, given.edit_step, given.edit_caption, given.edit_seed, given.candidate)
    elif given.undo:
        record = without_last_edit(record, directory)
    return directory, record, settings


def _settings_of(parser: ArgumentParser, record: OutpaintRecord, directory: Path) -> Namespace:
    """The settings that a record holds; refuses a record with values that the verb does not take."""
    defaults = vars(parser.get_defaults())
    empty = [name for name, value in record.config.items() if value is None and defaults.get(name) is not None]
    try:
        if empty:  # The parser lets an empty value pass whatever the type.
            raise ValueError(f"{empty[0]} must not be empty")
        return parser.parse_object({**record.config, "resume": str(directory)})
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"{directory / RUN_NAME} is no run record (config: {one_line(error)})") from error


def _with_steps(record: OutpaintRecord, directory: Path, added: str) -> OutpaintRecord:
    """The record with more steps; the same addition again, while it is not finished, means: continue it."""
    if record.pending == "steps" and record.steps[-1] == added:
        return record
    check_settled(record, directory)
    return record.model_copy(update={"steps": [*record.steps, added]}).unfinished("steps")


def lay_out_run(outpainter: Outpainter, record: OutpaintRecord, image_box: Box) -> Graph:
    """All steps of a run; refuses a captions file that has too few."""
    graph, captioner = outpainter.lay_out(plan_of(record), image_box), outpainter.captioner.inner
    if isinstance(captioner, FileCaptioner) and len(captioner.captions) < len(graph):
        raise ValueError(
            f"the captions file must hold a caption per step, got {len(captioner.captions)} for {len(graph)} steps"
        )
    return graph


def check_room(directory: Path, more_px: int) -> None:
    """Refuse a canvas that the disk cannot hold if its pixels do not compress, before anything is drawn."""
    place = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    wanted, room = 3 * more_px, shutil.disk_usage(place)
    if wanted > room.free and room.total:  # A file system without a size is refused when it is written to.
        raise ValueError(
            f"the canvas may take {wanted / 1e9:.2g} GB more, but only {room.free / 1e9:.2g} GB are left for "
            f"{directory}; free some, or draw less"
        )


@contextlib.contextmanager
def only_user_of(directory: Path, run: Path | None = None) -> Iterator[None]:
    """Hold a lock on the directory; it goes with the process, however that ends.

    Args:
        directory: what is locked.
        run: what is named where it is another's; None for the directory itself.

    Raises:
        ValueError: another process holds it, or gave it another name or removed it just now.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_here = os.path.samestat(os.fstat(descriptor), os.stat(directory))
        except (BlockingIOError, FileNotFoundError):
            is_here = False
        if not is_here:
            raise ValueError(f"another process is at work on {run or directory}; wait for it or stop it")
        yield
    finally:
        os.close(descriptor)
