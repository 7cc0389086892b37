"""``python -m eval run``: widen held-out panoramas with a checkpoint, score them next to the real ones, report."""

import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from yaml import safe_load

from eval import outpaint_scores, sources
from eval.figures import missed_line, text_table
from eval.files import check_out
from eval.judge import JudgeConfig, Reading
from eval.outpaint_scores import Evidence
from eval.outputs import provenance, write_outputs, write_panoramas
from eval.questions import QUESTIONS
from eval.report.loss_curve import read_loss_curve
from eval.report.page import Note, Page, PanoramaCard
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.data.evalset import EvalPanorama, WindowFacts
from lit_outpaint.heldout import load_panoramas, view_px, walk_of
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.rollout import Geometry, Pixels, Rollout, Walk, roll_out


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Which checkpoint is scored on what."""

    checkpoint: Path
    """A directory with an OutpaintPipeline (whole, or an overlay) or a training checkpoint (.ckpt)."""
    data: Path
    """Shard set written by data_prep; its evaluation set is used."""
    out: Path
    """Directory for metrics.json, metrics.md, report.html, captions.jsonl and pictures/."""
    models: Path = Path("models/scapes")
    """Model family that holds the judges: probe/ and eval_clip/."""
    panoramas: int = 64
    """How many panoramas, the first by key."""
    steps: int = 8
    """How many steps each grows."""
    direction: Direction = "right"
    """Which panoramas of the set."""
    shown: int = 12
    """How many panoramas the report shows, evenly spread."""
    loss_csv: Path | None = None
    """metrics.csv of the training run, for the loss curve."""
    batch_size: int = 16
    """Windows drawn at once; does not change the pictures."""
    sampling: OutpainterConfig = field(default_factory=OutpainterConfig)
    """How windows are drawn; window and overlap are those of the panoramas."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Thresholds of the readings."""

    def __post_init__(self) -> None:
        for name in ("panoramas", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.shown < 0:
            raise ValueError(f"--shown must be at least 0, got {self.shown}")


def run(config: RunConfig, yaml: str = "") -> Page:
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
    judge, clip = sources.load_judge(config.models, config.judge), sources.load_clip(config.models)
    pipeline = sources.load_outpaint_pipeline(config.checkpoint)
    outpainter = Outpainter(pipeline, config=_sampling(config, geometry, pipeline.window_px))
    check_out(config.out)
    started = time.monotonic()
    walks = [walk_of(truth, picture, geometry) for truth, picture in zip(truths, real, strict=True)]
    rollout = roll_out(
        outpainter,
        walks,
        geometry,
        view_px=view_px(outpainter.config, geometry),
        seed=config.sampling.seed,
        batch_size=config.batch_size,
        report=_progress,
    )
    seconds = time.monotonic() - started
    _progress(f"drew {len(walks)} panoramas in {seconds:.0f} s; reading them")
    generated = outpaint_scores.gather(rollout.panoramas, truths, geometry, judge, clip)
    ceiling = outpaint_scores.gather(real, truths, geometry, judge, clip)
    figures = outpaint_scores.figures(
        generated, ceiling, truths, rollout.changed_px, geometry, config.judge, f"open_clip {clip.name}"
    )
    page = Page(
        title=f"Outpainting: {config.checkpoint}",
        subtitle=f"{len(walks)} held-out panoramas, {config.steps} steps {config.direction}, true local captions",
        figures=figures,
        facts=provenance(
            checkpoint=config.checkpoint,
            data=config.data,
            seed=config.sampling.seed,
            seconds_drawing=f"{seconds:.1f}",
            captions_cut_by_text_encoder=sum(bool(outpainter.truncated(caption=text)) for text in _captions(walks)),
            captions_in_chunks_by_evaluation_clip=clip.num_chunked,
        ),
        config=yaml,
        cards=_cards(config, truths, real, rollout, generated),
        geometry=geometry,
        loss=loss,
    )
    write_panoramas(config.out, walks, rollout.panoramas)
    per_panorama = outpaint_scores.per_panorama(generated, truths, config.judge)
    rows = [{**row, "inputs": _fingerprint(walk)} for row, walk in zip(per_panorama, walks, strict=True)]
    last_step_only = [question.key for question in QUESTIONS if question.last_step_only]
    kept = {"settings": safe_load(yaml) or {}, "last_step_only": last_step_only, "per_panorama": rows}
    write_outputs(config.out, page, kept)
    print(text_table(figures))
    print(f"{missed_line(figures)}; report: {config.out / 'report.html'}")
    return page


def _progress(line: str) -> None:
    print(line, flush=True)


def _sampling(config: RunConfig, geometry: Geometry, trained_px: int) -> OutpainterConfig:
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


def _cards(
    config: RunConfig, truths: list[EvalPanorama], real: list[Pixels], rollout: Rollout, generated: Evidence
) -> list[PanoramaCard]:
    return [
        PanoramaCard(
            key=truths[index].key,
            global_caption=truths[index].global_caption,
            captions=[truths[index].first_caption, *(step.local_caption for step in truths[index].steps)],
            real=real[index],
            generated=rollout.panoramas[index],
            notes=[
                note(reading, step.facts)
                for reading, step in zip(generated.windows[index], truths[index].steps, strict=True)
            ],
        )
        for index in sources.picks(config.shown, len(truths))
    ]


def note(reading: Reading, facts: WindowFacts) -> Note:
    """What a reading says in words, and what of the truth it lacks."""
    things = sorted(f"{colour} {kind}" if colour else kind for kind, colour in reading.objects)
    sky = [reading.time or "no sky", reading.weather or "", "mountains" if reading.mountains else ""]
    biomes = [name for name, share in sorted(reading.biomes.items(), key=lambda item: -item[1]) if share >= 0.1]
    lacking = sorted({item.kind for item in facts.objects} - reading.kinds)
    sky_truths = ((facts.time, reading.time), (facts.weather, reading.weather))
    lacking += [truth for truth, seen in sky_truths if truth is not None and truth != seen]
    if facts.mountains is not None and facts.mountains != reading.mountains:
        lacking.append("mountains" if facts.mountains else "no mountains")
    parts = [", ".join(filter(None, sky)), " + ".join(biomes), ", ".join(things)]
    return Note("; ".join(filter(None, parts)), f"lacks {', '.join(lacking)}" if lacking else "")
