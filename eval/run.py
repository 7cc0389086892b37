"""``python -m eval run``: widen held-out panoramas with a checkpoint, score them next to the real ones, report."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from yaml import safe_load

from eval.drawing import Drawing
from eval.figures import aligned, curve_rows, missed_line, not_computed_lines, text_table
from eval.files import output_directory
from eval.finished import EvaluationRecord, KeptPanorama, read_run
from eval.judge import judges_hash, load_judge
from eval.methods import Method, load_method
from eval.metrics.base import Ratio
from eval.outputs import PAGE_NAME, begin_outputs, provenance, write_numbers, write_panoramas
from eval.panorama_figures import score_panoramas
from eval.report.loss_curve import read_loss_curve
from eval.report.one_run import write_report
from eval.report.page import Page
from eval.run_config import EvaluationConfig
from eval.run_figures import default_metrics, known_changed
from eval.shown import shown_panoramas
from lit_outpaint.captions.length import cut_off
from lit_outpaint.heldout.feed import compared
from lit_outpaint.heldout.panoramas import load_panoramas, walk_of
from lit_outpaint.heldout.rollout import Rollout
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk
from lit_outpaint.models.devices import computing_in, device_named
from lit_outpaint.outpainter import OutpainterConfig


def run(config: EvaluationConfig, yaml: str = "") -> Page:
    """Do it all; see the module docstring.

    Args:
        config: what to do.
        yaml: the configuration as text, for the report.

    Returns:
        The page that was written.

    Raises:
        ValueError: something given does not fit (the message says what and how to mend it).
        FileNotFoundError: something given is not there.
    """
    truths, real, geometry = load_panoramas(config.data, config.direction, config.panoramas, config.steps)
    loss = None if config.loss_csv is None else read_loss_curve(config.loss_csv)
    judge = load_judge(config.models, config.judge)
    metrics, unavailable = (config.metrics, []) if config.metrics else default_metrics(config, geometry)
    method = load_method(config.method, config.checkpoint, config.loop_prompt, device_named(config.device))
    walks = [walk_of(truth, picture, geometry) for truth, picture in zip(truths, real, strict=True)]
    rollout, seconds = _draw(config, method, walks, real, geometry)
    started = time.monotonic()
    rows = (compared(*each) for each in zip(truths, rollout.panoramas, real, strict=True))
    scored = score_panoramas(rows, metrics, geometry, config.steps)
    figures = sorted(
        [*scored.figures, known_changed(rollout.changed_px), *unavailable], key=lambda figure: figure.target is None
    )
    made = provenance(
        checkpoint=config.checkpoint,
        data=config.data,
        judges=judges_hash(config.models),
        seed=config.sampling.seed,
        seconds_drawing=f"{seconds:.1f}",
        seconds_scoring=f"{time.monotonic() - started:.1f}",
        captions_cut_by_text_encoder=sum(bool(cut_off(method.tokenizer, text)) for text in _captions(walks)),
    )
    record = EvaluationRecord(
        subtitle=f"{len(walks)} held-out panoramas, {config.steps} steps {config.direction}, true local captions, "
        f"method {config.method}",
        settings=safe_load(yaml) or {},
        geometry=geometry,
        table_steps=config.reached,
        loss=loss,
        per_panorama=[_kept(*each) for each in zip(walks, scored.ratios, strict=True)],
        shown=shown_panoramas(config.shown, truths, rollout.panoramas, judge, geometry),
    )
    begin_outputs(config.out)
    beside = {truth.key: picture for truth, picture in zip(truths, real, strict=True)}
    write_panoramas(config.out, walks, rollout.panoramas, {each.key: beside[each.key] for each in record.shown})
    write_numbers(config.out, f"Outpainting: {config.checkpoint}", figures, made, record.model_dump(mode="json"))
    # From the files, as `eval report` does it later.
    page = write_report(read_run(config.out), config.out)
    _tell(page, config.out)
    return page


def _draw(
    config: EvaluationConfig, method: Method, walks: list[Walk], real: list[Pixels], geometry: Geometry
) -> tuple[Rollout, float]:
    """The panoramas, and how many seconds they took."""
    sampling = _sampling(config, geometry, method.window_px)
    started = time.monotonic()
    with output_directory(config.out), computing_in(config.dtype, device_named(config.device)):
        rollout = method.draw_all(
            Drawing(
                walks=walks,
                real=real,
                geometry=geometry,
                sampling=sampling,
                batch_size=config.batch_size,
                report=_progress,
            )
        )
    seconds = time.monotonic() - started
    _progress(f"drew {len(walks)} panoramas in {seconds:.0f} s; scoring them")
    return rollout, seconds


def _tell(page: Page, out: Path) -> None:
    """Print what the page tells in numbers."""
    print(text_table(page.figures))
    if curves := aligned(curve_rows(page.figures, page.table_steps)):
        print(f"\ncurves, generated (real):\n{curves}\n")
    lacking = not_computed_lines(page.figures)
    print("\n".join([*lacking, f"{missed_line(page.figures)}; report: {out / PAGE_NAME}"]))


def _kept(walk: Walk, ratios: Mapping[str, Ratio]) -> KeptPanorama:
    return KeptPanorama(key=walk.key, inputs=_fingerprint(walk), ratios=dict(ratios))


def _progress(line: str) -> None:
    print(line, flush=True)


def _sampling(config: EvaluationConfig, geometry: Geometry, trained_px: int) -> OutpainterConfig:
    """The sampling with window and overlap of the panoramas; a window the model was not made for must be asked for."""
    asked = config.sampling.window_px
    if (asked or trained_px) != geometry.window_px:
        raise ValueError(
            f"the checkpoint must draw windows of {geometry.window_px} px like those of {config.data}, but draws "
            f"{asked or trained_px} px; give the data of its own family"
        )
    overlap_px = geometry.window_px - geometry.stride_px
    return replace(config.sampling, window_px=geometry.window_px, overlap_px=overlap_px)


def _fingerprint(walk: Walk) -> str:
    """What a panorama is drawn from, so that a comparison can tell that two runs had the same."""
    captions = json.dumps([walk.global_caption, *walk.local_captions]).encode()
    return hashlib.sha256(walk.first_window.tobytes() + captions).hexdigest()


def _captions(walks: list[Walk]) -> set[str]:
    return {caption for walk in walks for caption in (walk.global_caption, *walk.local_captions)}
