"""``python -m lit_outpaint outpaint``: from a picture and a caption to a panorama on disk.

A run continues from its last finished step whenever the same command, or ``--resume``, is given again.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from jaxtyping import UInt8
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from numpy import ndarray

from lit_outpaint.canvas.edits import Revisions, check_same_plan, set_aside
from lit_outpaint.canvas.export.formats import Format, parse_formats, put_back_exports
from lit_outpaint.canvas.graph import Graph
from lit_outpaint.canvas.image_io import load_image
from lit_outpaint.canvas.joint_pass import undo_torn_pass
from lit_outpaint.canvas.plan import Plan
from lit_outpaint.canvas.store import Canvas, checksum
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.from_file import FileCaptioner
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.chat.ledger import Prices
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.lay_out import lay_out
from lit_outpaint.models.overlay import check_outpaints, is_model, window_px_of
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.runs.config import OutpaintConfig, plan_given
from lit_outpaint.runs.directory import (
    INPUT_ERRORS,
    box_of,
    check_new,
    check_resumed,
    check_room,
    check_used,
    fit_image,
    lay_out_run,
    load_resumed,
    only_user_of,
    prepare,
    same_run,
)
from lit_outpaint.runs.exports import check_pictures, write_pictures
from lit_outpaint.runs.fingerprint import fingerprint
from lit_outpaint.runs.finished import FinishedRun, finished_run, pictures_there, write_exports_only
from lit_outpaint.runs.global_view import global_view
from lit_outpaint.runs.interrupt import Interrupt
from lit_outpaint.runs.layouts import AUTO, keep_layout, layout_of_run, read_layout, relaid, show_layout
from lit_outpaint.runs.many import outpaint_many
from lit_outpaint.runs.progress import Progress
from lit_outpaint.runs.record import (
    RUN_NAME,
    OutpaintRecord,
    mask_arguments,
    mask_secrets,
    versions,
)
from lit_outpaint.system.flags import with_nearest
from lit_outpaint.system.one_line import one_line
from lit_outpaint.system.ranks import RankConfig, find_share
from lit_outpaint.system.text import clean

if TYPE_CHECKING:
    from lit_outpaint.outpainter import Outpainter

log = logging.getLogger(__name__)


def build_parser() -> ArgumentParser:
    """The parser of the verb; help is generated from the configs."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="python -m lit_outpaint outpaint", description="Widen a picture step by step.", exit_on_error=False
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of the settings below.")
    parser.add_argument("--undo", action="store_true", help="With --resume: take the latest edit back.")
    parser.add_class_arguments(OutpaintConfig)
    parser.add_class_arguments(OutpainterConfig)
    parser.add_class_arguments(RegionalConfig)
    parser.add_class_arguments(Prices)
    parser.add_class_arguments(RankConfig)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb: 0 done, 2 the input was at fault (one line on stderr), 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    parser = build_parser()
    try:
        settings = parser.parse_args(arguments)
        return _outpaint(parser, settings, arguments)
    except (*INPUT_ERRORS, ArgumentError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, INPUT_ERRORS) and error.errno != errno.ENAMETOOLONG:
            raise
        print(f"error: {with_nearest(one_line(error), parser)}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted; continue with --resume and the run directory", file=sys.stderr)
        return 130


class _Parts:
    """What one process makes once, for however many pictures: captioner, scorer, pipeline.

    The pipeline comes last, because loading it takes longest. What it needs is imported here, so that a refusal and
    a run with nothing left to draw wait for none of it.
    """

    def __init__(self, parser: ArgumentParser, settings: Namespace) -> None:
        from lit_outpaint.models.devices import device_named
        from lit_outpaint.models.loading import quiet_loading
        from lit_outpaint.pipeline import load_pipeline

        quiet_loading()
        made = parser.instantiate(settings)
        captioner = FileCaptioner(settings.captions) if settings.captions is not None else made.captioner
        self.captioner = WithFallback(captioner or RuleCaptioner())
        self._scorer = made.scorer
        device = device_named(settings.device)
        self._pipeline = load_pipeline(settings.model).to(device)

    def outpainter(self, settings: Namespace, directory: Path, caption: str) -> Outpainter:
        """The outpainter that the settings describe, for a run in ``directory``."""
        from lit_outpaint.outpainter import Outpainter

        def view() -> UInt8[ndarray, "_ _ 3"]:
            sampling = {name: settings[name] for name in ("seed", "num_inference_steps", "guidance_scale")}
            return global_view(Path(settings.model), caption, directory, **sampling)

        config, regional = _config(settings), _regional(settings)
        return Outpainter(self._pipeline, self.captioner, config, view, self._scorer, regional)

    def say_cost(self, settings: Namespace) -> None:
        """Print what the captioner has counted, and warn where a model left too much to others."""
        ledger = self.captioner.ledger
        cost = ledger.text(Prices(**{field.name: settings[field.name] for field in fields(Prices)}))
        if cost:
            print(cost, ledger.shares(), sep="\n")
        if ledger.warning():
            log.warning(ledger.warning())


def _outpaint(parser: ArgumentParser, settings: Namespace, arguments: Sequence[str]) -> int:
    if settings.resume is not None:
        # What the command itself gives, and no default: that may be another than the run's value.
        named = set(vars(parser.parse_args(list(arguments), defaults=False)))
        directory = Path(settings.resume)
        check_resumed(named, directory)
        with only_user_of(directory):
            return _resume(parser, settings, named)

    check_used(settings)
    _config(settings)
    _regional(settings)

    @cache
    def parts() -> _Parts:
        return _Parts(parser, settings)

    if settings.image is None or not Path(settings.image).is_dir():
        _start(parser, settings, arguments, parts)
        code = 0
    else:
        code = outpaint_many(
            settings,
            find_share(RankConfig(rank=settings.rank, world_size=settings.world_size), os.environ),
            captioner=lambda: parts().captioner,
            draw=lambda own: _start(parser, own, arguments, parts, again=False),
        )
    if parts.cache_info().currsize:
        parts().say_cost(settings)
    return code


def _resume(parser: ArgumentParser, given: Namespace, named: Collection[str]) -> int:
    """Go on with a run that is this process's alone, or only export it."""
    formats = parse_formats(given.export or "")
    directory, record, settings = load_resumed(parser, given, named)
    finished = finished_run(directory, record, _config(settings)) if given.layout is None else None
    if finished is not None and formats:
        print(*write_exports_only(finished, formats), sep="\n")
        return 0
    if record.model_fingerprint != fingerprint(settings.model, like=record.model_fingerprint):
        raise ValueError(f"the model in {settings.model} is not the one {directory} began with; give that by --model")
    if _nothing_left(finished, settings):
        return 0
    parts = _Parts(parser, settings)
    caption = clean(settings.caption)
    outpainter = parts.outpainter(settings, directory, caption)
    formats = formats or parse_formats(settings.export or "")
    with _computing(settings):
        canvas = _open(directory)
        graph = lay_out_run(outpainter, record, canvas.image_box)
        _check(canvas, graph, formats)
        if given.layout is not None:
            record = _relay(record, canvas, graph, given.layout, outpainter)
        _grow(record, canvas, graph, outpainter, caption, formats)
    parts.say_cost(settings)
    return 0


def _start(
    parser: ArgumentParser,
    settings: Namespace,
    arguments: Sequence[str],
    parts: Callable[[], _Parts],
    again: bool = True,
) -> bool:
    """Begin a run, or continue the same one; with ``again`` False one that is finished is left alone.

    Returns:
        Whether anything was to be done.
    """
    formats = parse_formats(settings.export or "")
    directory, caption = check_new(settings), clean(settings.caption)
    image = load_image(Path(settings.image))
    plan = plan_given(settings)
    check_outpaints(is_model(settings.model))
    known_px = settings.window_px or window_px_of(Path(settings.model))
    # A picture, a plan or a layout that does not fit is refused before gigabytes are loaded.
    window_px = known_px or parts().outpainter(settings, directory, caption).window_px
    image = fit_image(image, window_px, settings.fit, plan)
    described, defaults = _describe(parser, settings, arguments, image, plan), vars(parser.get_defaults())
    there = (directory / RUN_NAME).is_file()
    if there:
        record = same_run(directory, described, defaults)
        if record.finished and not again:
            return False
        with only_user_of(directory):
            if _nothing_left(finished_run(directory, record, _config(settings)), settings):
                return False
    else:
        lay_out(plan, box_of(image), _config(settings), window_px)
        if settings.layout not in (None, AUTO):
            read_layout(Path(settings.layout))
    computing = _computing(settings)
    outpainter = parts().outpainter(settings, directory, caption)
    if not there:
        graph = lay_out_run(outpainter, described, box_of(image))
        prepare(directory, described, image, graph, outpainter, formats)
    with only_user_of(directory), computing:
        # Read once nobody else can write it: while the model was loaded, another command may have edited the run.
        record = same_run(directory, described, defaults)
        canvas = _open(directory)
        graph = lay_out_run(outpainter, record, canvas.image_box)
        _check(canvas, graph, formats)
        _grow(record, canvas, graph, outpainter, caption, formats)
    return True


def _describe(
    parser: ArgumentParser, settings: Namespace, arguments: Sequence[str], image: UInt8[ndarray, "h w 3"], plan: Plan
) -> OutpaintRecord:
    """The record of a run that is about to begin."""
    plain = yaml.safe_load(parser.dump(settings, skip_unset=False))
    return OutpaintRecord(
        command=["outpaint", *mask_arguments(arguments)],
        config=mask_secrets({name: value for name, value in plain.items() if name not in ("config", "resume")}),
        steps=[str(plan)],
        finished=False,
        pending="plan",
        image_sha256=checksum(image),
        model_fingerprint=fingerprint(settings.model),
        versions=versions(),
    )


def _open(directory: Path) -> Canvas:
    """The canvas of a run that is to be drawn, with whatever was cut short taken back."""
    canvas = Canvas.open(directory)
    put_back_exports(directory)
    undo_torn_pass(canvas)  # Before anything asks what is drawn.
    return canvas


def _check(canvas: Canvas, graph: Graph, formats: Collection[Format]) -> None:
    """Refuse what cannot be drawn or written, before the run says that it was asked for."""
    check_same_plan(canvas, graph)
    check_pictures(canvas.directory, formats, graph.box)
    missing = [step for step in range(len(graph)) if not canvas.is_done(step)]
    check_room(canvas.directory, int(graph.new_px()[missing].sum()))


def _relay(
    record: OutpaintRecord, canvas: Canvas, graph: Graph, layout_file: str, outpainter: Outpainter
) -> OutpaintRecord:
    """Keep another layout; the record that is returned puts it in force and asks for the steps that it changes."""
    directory = canvas.directory
    layout = read_layout(Path(layout_file))
    before = layout_of_run(directory, record, graph, canvas.image_box, outpainter.config, outpainter.window_px)
    assert before is not None, "load_resumed refuses a run without one"
    changed = relaid(record, canvas, graph, before, layout)
    if changed is not record:
        keep_layout(directory, len(changed.relayouts), layout)
    num_steps = len(changed.edits) - len(record.edits)
    print(f"the layout changes what {num_steps} steps are asked for; these and what builds on them are drawn again")
    return changed


def _grow(
    record: OutpaintRecord,
    canvas: Canvas,
    graph: Graph,
    outpainter: Outpainter,
    caption: str,
    formats: Collection[Format],
) -> None:
    """Do what is left of the plan, then write the panorama and say so."""
    directory = canvas.directory
    layout = layout_of_run(directory, record, graph, canvas.image_box, outpainter.config, outpainter.window_px)
    revisions, steps = Revisions(graph, record.edits), range(len(graph))
    outpainter.check_joint(
        graph,
        (step for step in steps if not canvas.is_done(step) or canvas.record(step).revision != revisions.of(step)),
    )
    if record.finished and canvas.num_steps < len(graph):
        record = record.unfinished("plan")
    if not record.finished:
        record.save(directory)
    if layout is not None:
        show_layout(directory, layout)
    set_aside(canvas, revisions)
    if outpainter.config.compile:
        print("the U-Net is compiled in the first window, which takes a minute or more")
    with Interrupt() as interrupt, Progress(total=len(graph), done=canvas.num_steps) as progress:
        outpainter.run(
            canvas,
            graph,
            caption,
            [progress.advance],
            edits=record.edits,
            layout=layout,
            should_stop=lambda: interrupt.requested,
            on_timestep=progress.denoise,
            on_put_back=progress.put_back,
        )
    if canvas.num_steps < len(graph):
        raise KeyboardInterrupt(
            f"stopped after {canvas.num_steps} of {len(graph)} steps; continue with: "
            f"python -m lit_outpaint outpaint --resume {shlex.quote(str(directory))}"
        )
    _say_cut_captions(canvas, outpainter.truncated(caption=caption))
    if graph.circumference_px is not None:
        print(f"the ring is {graph.circumference_px} px around")
    print(*write_pictures(canvas, record, formats, layout), sep="\n")
    record.model_copy(update={"finished": True, "pending": None}).save(directory)


def _say_cut_captions(canvas: Canvas, of_global: dict[str, str]) -> None:
    num_local = sum("local" in record.truncated for record in canvas.journal)
    if of_global:
        print(f"the caption is longer than the text encoder reads; not read: {of_global['caption']}")
    if num_local:
        print(f"{num_local} local captions were longer than the text encoder reads; see steps.jsonl")


def _nothing_left(run: FinishedRun | None, settings: Namespace) -> bool:
    """Whether a run is finished with all its pictures; says then what there is."""
    lines = [] if run is None else pictures_there(run, parse_formats(settings.export or ""))
    print(*lines, sep="\n", end="\n" if lines else "")
    return bool(lines)


def _config(settings: Namespace) -> OutpainterConfig:
    return OutpainterConfig(**{field.name: settings[field.name] for field in fields(OutpainterConfig)})


def _regional(settings: Namespace) -> RegionalConfig:
    return RegionalConfig(**{field.name: settings[field.name] for field in fields(RegionalConfig)})


def _computing(settings: Namespace) -> AbstractContextManager[None]:
    from lit_outpaint.models.devices import computing_in, device_named

    return computing_in(settings.dtype, device_named(settings.device))
