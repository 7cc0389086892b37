"""``python -m eval run``: widen held-out panoramas with a checkpoint, score them next to the real ones, report."""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from yaml import safe_load

from eval import sources
from eval.extractors import InceptionExtractor, SharedExtractor, find_extractor
from eval.figures import Figure, Target, aligned, curve_rows, missed_line, not_computed_lines, text_table
from eval.files import output_directory
from eval.functional.bootstrap import Estimate
from eval.judge import Judge, JudgeConfig, Reading, load_judge
from eval.methods import LoopPrompt, MethodName, load_method
from eval.metric_sets import Networks, Sizes, panorama_metrics, set_metrics
from eval.metrics import ClipSim, Curve, Faithfulness, InceptionScore, Seam
from eval.metrics.curve import DEFAULT_STEPS
from eval.outputs import begin_outputs, provenance, write_outputs, write_panoramas
from eval.panorama_figures import score_panoramas
from eval.perceptual import Lpips, PerceptualDistance, ScapesLpips
from eval.report.loss_curve import read_loss_curve
from eval.report.page import Note, Page, PanoramaCard
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.captions.length import cut_off
from lit_outpaint.data.evalset import EvalPanorama, WindowFacts
from lit_outpaint.heldout import load_panoramas, walk_of
from lit_outpaint.metric_feed import compared
from lit_outpaint.outpainter import OutpainterConfig
from lit_outpaint.protocols import ImageMetric
from lit_outpaint.rollout import Geometry, Pixels, Rollout, Walk


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Which checkpoint is scored on what."""

    checkpoint: Path
    """A directory with an OutpaintPipeline (whole, or an overlay) or a training checkpoint (.ckpt)."""
    data: Path
    """Shard set written by data_prep; its evaluation set is used."""
    out: Path
    """Directory for metrics.json, metrics.md, report.html, captions.jsonl and pictures/; those of an earlier run in it
    are removed."""
    models: Path = Path("models/scapes")
    """Model family that holds the judges: probe/ and eval_clip/."""
    method: MethodName = "outpaint"
    """Who draws: the checkpoint (outpaint), the checkpoint with all steps denoised together (joint), or diffusers'
    inpainting pipeline with the text-to-image model that the checkpoint stands on (inpaint_loop)."""
    loop_prompt: LoopPrompt = "local"
    """What inpaint_loop is told: one caption, or both joined."""
    panoramas: int = 64
    """How many panoramas, the first by key."""
    steps: int = 8
    """How many steps each grows."""
    direction: Direction = "right"
    """Which panoramas of the set."""
    figures: Literal["all", "few"] = "all"
    """all: every figure that can be computed. few: faithfulness, seam, CLIP-SIM and IS, without curves."""
    metrics: list[ImageMetric] | None = None
    """Metrics by class_path in the place of those."""
    curve_steps: tuple[int, ...] = DEFAULT_STEPS
    """Steps of curves; those beyond the end are left out, and the last one is always there."""
    extractor: str | None = None
    """Features of IS, FID, KID, precision and recall: inception, scapes, or NAME:PATH; scapes of --models when absent,
    and Inception's IS and FID beside it where its weights are there."""
    clip: str | None = None
    """Evaluation CLIP: MODEL/PRETRAINED of open_clip, or a directory; eval_clip/ of --models when absent."""
    lpips: Literal["vgg", "alex", "squeeze", "scapes"] = "scapes"
    """Backbone of Intra-LPIPS."""
    splits: int = 1
    """Parts of the Inception Score."""
    kid_subsets: int = 100
    """Pairs of subsets of KID."""
    kid_subset_size: int | None = None
    """Windows in each; 100 when absent, or all where there are fewer."""
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
        for name in ("panoramas", "steps", "batch_size", "splits", "kid_subsets"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.shown < 0:
            raise ValueError(f"--shown must be at least 0, got {self.shown}")
        if self.splits > self.panoramas * self.steps:
            raise ValueError(
                f"--splits must be at most {self.panoramas * self.steps}, the number of windows; got {self.splits}"
            )
        if self.sampling.engine == "joint":
            raise ValueError("--sampling.engine joint is chosen by --method joint here; leave it out")
        if self.sampling.visual_source == "image_from_global_caption":
            raise ValueError(
                "--sampling.visual_source must be canvas_so_far or visible_part_of_window in an evaluation"
            )
        if self.method == "inpaint_loop" and (self.sampling.guidance_rescale or self.sampling.seam_feather_cells):
            raise ValueError(
                "--method inpaint_loop takes no sampling.guidance_rescale and no sampling.seam_feather_cells; leave "
                "them out"
            )
        if self.method == "joint":
            replace(self.sampling, engine="joint")  # Refuses what that engine does not take.

    @property
    def reached(self) -> list[int]:
        """Steps of curves that are drawn."""
        return sorted({step for step in self.curve_steps if step < self.steps} | {self.steps})


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
    judge = load_judge(config.models, config.judge)
    metrics, unavailable = (config.metrics, []) if config.metrics else default_metrics(config, geometry)
    method = load_method(config.method, config.checkpoint, config.loop_prompt)
    sampling = _sampling(config, geometry, method.window_px)
    started = time.monotonic()
    walks = [walk_of(truth, picture, geometry) for truth, picture in zip(truths, real, strict=True)]
    with output_directory(config.out):
        rollout = method.draw_all(walks, geometry, sampling, config.batch_size, _progress)
    seconds = time.monotonic() - started
    _progress(f"drew {len(walks)} panoramas in {seconds:.0f} s; scoring them")
    started = time.monotonic()
    rows = (compared(*each) for each in zip(truths, rollout.panoramas, real, strict=True))
    scored = score_panoramas(rows, metrics, geometry, config.steps)
    figures = sorted(
        [*scored.figures, _known_changed(rollout.changed_px), *unavailable], key=lambda figure: figure.target is None
    )
    page = Page(
        title=f"Outpainting: {config.checkpoint}",
        subtitle=f"{len(walks)} held-out panoramas, {config.steps} steps {config.direction}, true local captions, "
        f"method {config.method}",
        figures=figures,
        facts=provenance(
            checkpoint=config.checkpoint,
            data=config.data,
            seed=config.sampling.seed,
            seconds_drawing=f"{seconds:.1f}",
            seconds_scoring=f"{time.monotonic() - started:.1f}",
            captions_cut_by_text_encoder=sum(bool(cut_off(method.tokenizer, text)) for text in _captions(walks)),
        ),
        config=yaml,
        cards=_cards(config, truths, real, rollout, judge, geometry),
        geometry=geometry,
        loss=loss,
        table_steps=config.reached,
    )
    begin_outputs(config.out)
    write_panoramas(config.out, walks, rollout.panoramas)
    kept = [
        {"key": walk.key, "inputs": _fingerprint(walk), "ratios": {key: list(ratio) for key, ratio in ratios.items()}}
        for walk, ratios in zip(walks, scored.ratios, strict=True)
    ]
    write_outputs(config.out, page, {"settings": safe_load(yaml) or {}, "per_panorama": kept})
    print(text_table(figures))
    if curves := aligned(curve_rows(figures, page.table_steps)):
        print(f"\ncurves, generated (real):\n{curves}\n")
    print("\n".join([*not_computed_lines(figures), f"{missed_line(figures)}; report: {config.out / 'report.html'}"]))
    return page


def default_metrics(config: RunConfig, geometry: Geometry) -> tuple[list[ImageMetric], list[Figure]]:
    """The metrics of ``--figures``, and a figure for each that cannot be had here.

    Raises:
        ValueError: a network is not known.
        FileNotFoundError: the weights of a network that was asked for are not there.
    """
    extractor = find_extractor(config.extractor or f"scapes:{config.models}")
    clip = config.clip or str(config.models / sources.EVAL_CLIP)
    metrics: list[ImageMetric] = [
        Faithfulness(config.data, config.models, config.judge),
        ClipSim(clip, "window", "global"),
    ]
    if config.figures == "few":
        inception = [] if extractor.num_classes is None else [InceptionScore(extractor, config.splits)]
        seam = Seam(config.direction, geometry.stride_px)
        return [*metrics, ClipSim(clip, "window", "local"), seam, *inception], []
    sizes = _sizes(config, config.panoramas * config.steps)
    steps = config.reached
    of_sets = set_metrics(extractor, sizes, real=True)
    of_steps = set_metrics(extractor, _sizes(config, config.panoramas), real=True) if len(steps) > 1 else []
    curves: list[ImageMetric] = [Curve(metric, steps) for metric in of_steps]
    distance: PerceptualDistance = ScapesLpips(config.models) if config.lpips == "scapes" else Lpips(config.lpips)
    networks = Networks(extractor, clip, distance)
    of_panoramas = panorama_metrics(networks, geometry, config.steps, config.reached, "local", real=True)
    published, unavailable = _published(config, sizes)
    return [*metrics, *of_sets, *published, *of_panoramas, *curves], unavailable


def _sizes(config: RunConfig, num_windows: int) -> Sizes:
    size = config.kid_subset_size or max(min(100, num_windows), 2)
    return Sizes(min(config.splits, num_windows), config.kid_subsets, size, max(10_000, size))


def _published(config: RunConfig, sizes: Sizes) -> tuple[list[ImageMetric], list[Figure]]:
    """IS, FID, KID, precision and recall as others publish them, where nothing else is asked for."""
    if config.extractor is not None:
        return [], []
    try:
        return set_metrics(SharedExtractor(InceptionExtractor()), sizes, real=True), []
    except FileNotFoundError as error:
        title = "IS, FID, KID, precision and recall with Inception"
        definition = "As published values are made, with torch-fidelity's Inception."
        blank = Figure(
            key="inception", title=title, definition=definition, unit="plain", estimate=None, reason=str(error)
        )
        return [], [blank]


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


def _known_changed(changed_px: NDArray[np.int64]) -> Figure:
    total = float(changed_px.sum())
    return Figure(
        key="known_pixels_changed",
        title="known pixels changed (sum over all steps)",
        definition="Pixels that were on a canvas before a step and differ after it, over all steps and panoramas.",
        unit="count",
        estimate=Estimate(total, math.nan, math.nan, len(changed_px), changed_px.size),
        real=Estimate(0.0, math.nan, math.nan, len(changed_px), changed_px.size),
        target=Target("<=", 0),
        curve=tuple(float(value) for value in changed_px.sum(axis=0)),
    )


def _cards(
    config: RunConfig,
    truths: Sequence[EvalPanorama],
    real: Sequence[Pixels],
    rollout: Rollout,
    judge: Judge,
    geometry: Geometry,
) -> list[PanoramaCard]:
    cards = []
    for index in sources.picks(config.shown, len(truths)):
        truth, panorama = truths[index], rollout.panoramas[index]
        windows = np.stack([geometry.window_at(panorama, step) for step in range(1, len(truth.steps) + 1)])
        readings = judge.read(judge.look(windows).maps)
        cards.append(
            PanoramaCard(
                key=truth.key,
                global_caption=truth.global_caption,
                captions=[truth.first_caption, *(step.local_caption for step in truth.steps)],
                real=real[index],
                generated=panorama,
                notes=[note(reading, step.facts) for reading, step in zip(readings, truth.steps, strict=True)],
            )
        )
    return cards


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
