"""``python -m eval layouts``: what stands on the canvases of finished runs of ``outpaint``, against their captions."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from yaml import safe_load

from eval.figures import Figure, Target, Unit, missed_line, text_table
from eval.files import check_out
from eval.finished import EvaluationRecord, KeptPanorama
from eval.functional.bootstrap import ratio_estimate
from eval.functional.seam import seam_score
from eval.judge import Judge, judges_hash, load_judge
from eval.layouts import counting
from eval.layouts.config import LayoutsConfig
from eval.layouts.reading import read_canvas
from eval.outputs import PAGE_NAME, provenance, write_numbers, write_page
from eval.report.page import Page
from lit_outpaint.canvas.compositing import to_pixel_values
from lit_outpaint.canvas.geometry import HEADINGS, Box, Direction
from lit_outpaint.canvas.store import ARRAY_NAME, Canvas
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.lay_out import lay_out
from lit_outpaint.heldout.walks import Pixels
from lit_outpaint.runs.record import RUN_NAME, OutpaintRecord, plan_of


class _Row(NamedTuple):
    title: str
    definition: str
    unit: Unit = "plain"
    target: Target | None = None


_ROWS: Final = {
    "counts_right": _Row(
        "counts right",
        "Of the things that a caption names, a kind with its colour where it has one, those of which exactly as many "
        "are seen on the canvas.",
        "percent",
        Target(">=", 0.9),
    ),
    "flawed": _Row(
        "stacked or repeated things of a canvas",
        "Things that stand on another one, are as high as two, or are beyond as many as the caption names; each once.",
    ),
    "repeated": _Row("repeated things of a canvas", "Things beyond as many as the caption names of their kind."),
    "stacked": _Row(
        "stacked things of a canvas",
        "Things whose columns overlap by half with less than 1/32 of a window between them, and things higher than "
        "half a window.",
    ),
    "missing": _Row("missing things of a canvas", "Things that lack to as many as the caption names of their kind."),
    "unasked": _Row("unasked things of a canvas", "Things of kinds that the caption does not name."),
    "seam": _Row(
        "seam",
        "Mean absolute difference of the two lines at the seam over that of all other neighbouring lines of the "
        "window, mean over the windows with one seam; 1 says that nothing stands out.",
    ),
}


def layouts(config: LayoutsConfig, yaml: str = "") -> Page:
    """Read every canvas, print the table and write the report.

    Args:
        config: what to do.
        yaml: the configuration as text.

    Raises:
        ValueError: there is no finished run, or a run is damaged.
        FileNotFoundError: there is no probe.
    """
    started = time.monotonic()
    runs = _finished_runs(config.runs)
    canvases = [_whole_canvas(directory, record) for directory, record in runs]
    judge = load_judge(config.models, config.judge)
    check_out(config.out)
    kept: list[KeptPanorama] = []
    pictures: list[tuple[str, Pixels]] = []
    for number, ((directory, record), canvas) in enumerate(zip(runs, canvases, strict=True), 1):
        ratios = _ratios(canvas, record, judge)
        inputs = hashlib.sha256(f"{record.image_sha256} {record.config['caption']}".encode()).hexdigest()
        kept.append(KeptPanorama(key=directory.name, inputs=inputs, ratios=ratios))
        if number <= config.shown:
            pictures.append((f"{directory.name}: {record.config['caption']}", canvas.read(canvas.box)))
        print(f"{number} of {len(runs)} canvases counted", flush=True)
    page = Page(
        title=f"Layouts: {config.runs}",
        subtitle=f"{len(runs)} canvases, judge: scapes probe",
        figures=_figures(kept),
        facts=provenance(
            runs=config.runs, judges=judges_hash(config.models), seconds=f"{time.monotonic() - started:.1f}"
        ),
        config=yaml,
        pictures=pictures,
    )
    told = EvaluationRecord(
        subtitle=page.subtitle, settings=dict(safe_load(yaml) or {}), units="canvases", per_panorama=kept
    )
    write_numbers(config.out, page.title, page.figures, page.facts, told.model_dump(mode="json"))
    write_page(config.out, page)
    print(text_table(page.figures))
    print(f"{missed_line(page.figures)}; report: {config.out / PAGE_NAME}")
    return page


def _finished_runs(root: Path) -> list[tuple[Path, OutpaintRecord]]:
    if not root.is_dir():
        raise ValueError(f"--runs must be a directory of runs of outpaint, found no {root}")
    found = [root] if (root / RUN_NAME).is_file() else sorted(path.parent for path in root.glob(f"*/{RUN_NAME}"))
    places = [place for place in found if any(place.glob(f"{ARRAY_NAME}*"))]  # Runs of generate have no canvas.
    for place in found:
        if place not in places:
            print(f"{place} is left out: it is no run of outpaint")
    if not places:
        raise ValueError(f"--runs must hold runs of outpaint, but {root} holds none")
    runs = [(place, OutpaintRecord.load(place)) for place in places]
    unfinished = [place for place, record in runs if not record.finished]
    if unfinished:
        raise ValueError(f"--runs must hold finished runs, but {unfinished[0]} is not; go on with it by --resume")
    return runs


def _whole_canvas(directory: Path, record: OutpaintRecord) -> Canvas:
    """The canvas with all steps of its run; refuses one whose journal became shorter."""
    canvas = Canvas.open_to_read(directory)
    given = {field.name: record.config[field.name] for field in fields(OutpainterConfig) if field.name in record.config}
    window = next((Box(*step.window) for step in canvas.journal), None)
    config = OutpainterConfig(**given)
    graph = () if window is None else lay_out(plan_of(record), canvas.image_box, config, window.width)
    if canvas.num_steps < max(len(graph), 1):
        raise ValueError(f"--runs must hold whole runs, but {directory} lacks steps; resume it to draw them again")
    return canvas


def _ratios(canvas: Canvas, record: OutpaintRecord, judge: Judge) -> dict[str, tuple[float, float]]:
    """What a canvas adds to every figure."""
    steps = list(canvas.journal)
    window_px = Box(*steps[0].window).width
    reading = read_canvas(judge, canvas.read, canvas.box, window_px)
    named = counting.named_things(record.config["caption"], judge.names)
    size_px = (canvas.box.width, canvas.box.height)
    seen = [piece for piece in reading.pieces if piece.kind not in judge.config.unread_kinds]
    counted = counting.count(named, seen, size_px, window_px)
    ratios = {
        name: (float(getattr(counted, name)), 1.0) for name in ("flawed", "repeated", "stacked", "missing", "unasked")
    }
    ratios["counts_right"] = (float(counted.right), float(counted.named))
    scores = (_seam(canvas, Box(*step.window), step.direction, step.strip_box) for step in steps)
    seams = [score for score in scores if score is not None]
    return {**ratios, "seam": (float(sum(seams)), float(len(seams)))}


def _seam(canvas: Canvas, window: Box, direction: Direction, strip: Box) -> float | None:
    """The score of the one seam of a window; None where the new part is no strip along a side."""
    heading = HEADINGS[direction]
    if strip != heading.between(window, heading.inner(strip), heading.outer(window)) or strip == window:
        return None
    seam = heading.inner(strip) - (window.y0 if heading.axis else window.x0)
    return float(seam_score(to_pixel_values(canvas.read(window)[None]), seam, "y" if heading.axis else "x"))


def _figures(kept: Sequence[KeptPanorama]) -> list[Figure]:
    made = []
    for key, row in _ROWS.items():
        table = np.array([each.ratios[key] for each in kept], dtype=np.float64)
        estimate = ratio_estimate(table[:, 0], table[:, 1]) if table[:, 1].any() else None
        made.append(
            Figure(
                key=key,
                title=row.title,
                definition=f"{row.definition} Judge: the scapes probe." if key != "seam" else row.definition,
                unit=row.unit,
                estimate=estimate,
                target=row.target,
            )
        )
    return made
