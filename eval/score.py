"""``python -m eval score``: score pictures made by anybody, from a folder, with captions and real pictures beside."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.cutting import Cutter
from eval.extractors import find_extractor
from eval.files import output_directory, write_text
from eval.finished import METRICS_VERSION
from eval.folder import Captions, PictureFolder, read_captions, read_folder
from eval.metric_sets import CaptionsGiven, Networks, Sizes, panorama_metrics, set_metrics
from eval.metrics import ClipSim
from eval.metrics.base import TwoSetMetric
from eval.outputs import provenance
from eval.perceptual import Lpips, PerceptualDistance, ScapesLpips
from eval.reference_cache import ReferenceCache, default_directory
from eval.score_config import ScoreConfig
from lit_outpaint.heldout.feed import Compared, computed
from lit_outpaint.protocols import ImageMetric


@dataclass(frozen=True, kw_only=True)
class Score:
    """One line of the result."""

    name: str
    value: float | None
    definition: str
    reason: str = ""
    """Why there is no value."""


def score(config: ScoreConfig, yaml: str = "") -> list[Score]:
    """Do it all; see the module docstring.

    Args:
        config: what to do.
        yaml: the configuration as text; kept beside the scores.

    Raises:
        ValueError: something given does not fit (the message says what and how to mend it).
        FileNotFoundError: the weights of a network are not there.
    """
    images = read_folder(config.images, "--images")
    reference = None if config.reference is None else read_folder(config.reference, "--reference")
    captions = None if config.captions is None else read_captions(config.captions, images.keys)
    cutter = Cutter(images, config.window_px, config.stride, config.direction)
    if captions is not None:
        cutter.check_captions(captions)
    paired = "" if reference is None else ", each beside the real one of its name" * bool(_beside(images, reference))
    print(f"{len(images.paths)} pictures of {images.width} x {images.height} px, looked at {cutter.told()}{paired}")
    metrics = config.metrics or default_metrics(config, cutter, captions, reference)
    _check_captioned(metrics, cutter, captions)
    with output_directory(config.out):
        _feed(config, cutter, metrics, images, reference, captions or {})
    scores = [row for metric in metrics for row in _scores(metric, cutter)]
    made = provenance(images=config.images, reference=config.reference, captions=config.captions, config=yaml)
    _write(config.out, scores, made, len(images.paths))
    print(_table(scores))
    print(f"all values and definitions: {config.out / 'metrics.json'}")
    return scores


def default_metrics(
    config: ScoreConfig, cutter: Cutter, captions: dict[str, Captions] | None, reference: PictureFolder | None
) -> list[ImageMetric]:
    """Every metric that what was given allows.

    Raises:
        ValueError: there are fewer pictures than splits.
        FileNotFoundError: the weights of a network are not there.
    """
    extractor = find_extractor(config.extractor)
    splits = min(10, cutter.num_samples) if config.splits is None else config.splits
    if extractor.num_classes is not None and splits > cutter.num_samples:
        raise ValueError(
            f"--splits must be at most {cutter.num_samples}, the number of pictures or windows; got {splits}"
        )
    sizes = Sizes(splits, config.kid_subsets, config.kid_subset_size, config.max_samples)
    metrics = set_metrics(extractor, sizes, real=reference is not None)
    if captions is not None:
        metrics.append(ClipSim(config.clip, "window", "global"))
    if cutter.geometry is None:
        return metrics
    given: CaptionsGiven = "none"
    if captions is not None:
        given = "local" if all(row.local for row in captions.values()) else "global"
    distance: PerceptualDistance = ScapesLpips() if config.lpips == "scapes" else Lpips(config.lpips)
    networks = Networks(extractor, config.clip, distance)
    real = reference is not None and cutter.is_like(_real_cutter(config, reference))
    if reference is not None and not real:
        told = f"{config.reference} holds no panoramas of {cutter.num_steps} steps"
        print(f"{told}: windows alone are compared with real ones")
    return metrics + panorama_metrics(networks, cutter.geometry, cutter.num_steps, config.steps, given, real=real)


def _check_captioned(metrics: Sequence[ImageMetric], cutter: Cutter, captions: Mapping[str, Captions] | None) -> None:
    """Refuse metrics of captions that are not there: they would compare pictures with an empty text."""
    for metric in (metric for metric in metrics if _reads_captions(metric)):
        if captions is None:
            raise ValueError(f"the metric {type(metric).__name__} compares pictures with captions; give --captions")
        without = next((key for key, row in captions.items() if not row.local), None)
        if metric.caption == "local" and cutter.geometry is not None and without is not None:
            raise ValueError(
                f"the metric {type(metric).__name__} compares windows with local captions; --captions has no "
                f"local_captions for {without}"
            )


def _reads_captions(metric: ImageMetric) -> bool:
    return getattr(metric, "reads_captions", False)


def _feed(
    config: ScoreConfig,
    cutter: Cutter,
    metrics: Sequence[ImageMetric],
    images: PictureFolder,
    reference: PictureFolder | None,
    captions: dict[str, Captions],
) -> None:
    two_set = [metric for metric in metrics if isinstance(metric, TwoSetMetric)]
    others = [metric for metric in metrics if not isinstance(metric, TwoSetMetric)]
    beside = _beside(images, reference)
    nothing = Captions("")
    done = 0
    for paths in _batches(images.paths, config.batch_size):
        drawn = images.load(paths)
        real = (
            [None] * len(paths)
            if reference is None or beside is None
            else reference.load([beside[p.stem] for p in paths])
        )
        alone, paired = [], []
        for path, picture, other in zip(paths, drawn, real, strict=True):
            texts = captions.get(path.stem, nothing)
            alone.append(Compared(path.stem, picture, None, texts.whole, texts.local))
            paired.append(Compared(path.stem, picture, other, texts.whole, texts.local))
        _hand(cutter, alone, two_set)
        _hand(cutter, paired, others)
        done += len(paths)
        print(f"{done}/{len(images.paths)} pictures", flush=True)
    if reference is None:
        return
    cut = f"{config.window_px}/{config.stride}/{config.direction}"
    cache = ReferenceCache(config.cache or default_directory(), f"{reference.content()}/{cut}")
    missing = [metric for metric in two_set if not cache.load(metric)]
    if len(missing) < len(two_set):
        print(f"statistics of {len(two_set) - len(missing)} metrics over {config.reference} are taken from the cache")
    real_cutter = cutter if beside is not None else _real_cutter(config, reference)
    # Captions are those of the drawn pictures, so that real ones of other names are not compared with any.
    alone_too = beside is None and cutter.is_like(real_cutter)
    unpaired = [metric for metric in others if not _reads_captions(metric)] if alone_too else []
    if missing or unpaired:
        for paths in _batches(reference.paths, config.batch_size):
            rows = [
                Compared(p.stem, None, picture, "", ()) for p, picture in zip(paths, reference.load(paths), strict=True)
            ]
            _hand(real_cutter, rows, [*missing, *unpaired])
    for metric in missing:
        cache.store(metric)


def _real_cutter(config: ScoreConfig, reference: PictureFolder) -> Cutter:
    return Cutter(reference, config.window_px, config.stride, config.direction)


def _hand(cutter: Cutter, rows: list[Compared], metrics: Sequence[ImageMetric]) -> None:
    batch = cutter.batch(rows)
    for metric in metrics:
        batch.feed(metric)


def _beside(images: PictureFolder, reference: PictureFolder | None) -> dict[str, Path] | None:
    """The real picture of every name; None where the folders do not pair up."""
    if reference is None or set(images.keys) != set(reference.keys):
        return None
    same = (images.width, images.height) == (reference.width, reference.height)
    return {path.stem: path for path in reference.paths} if same else None


def _batches(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def _scores(metric: ImageMetric, cutter: Cutter) -> list[Score]:
    definition = getattr(metric, "definition", "")
    values, missing = computed(metric)
    told: dict[str, tuple[float | None, str]] = {name: (value, "") for name, value in values.items()}
    told |= {name: (None, reason) for name, reason in missing.items()}
    return [
        Score(name=cutter.name(name, metric), value=value, definition=definition, reason=reason)
        for name, (value, reason) in told.items()
    ]


def _write(out: Path, scores: Sequence[Score], made: dict[str, str], count: int) -> None:
    figures: dict[str, Any] = {
        row.name: {"name": row.name, "definition": row.definition, "unit": "plain", "value": row.value}
        | ({"not_computed": row.reason} if row.value is None else {})
        for row in scores
    }
    content = {"schema": METRICS_VERSION, "title": f"{count} pictures", "figures": figures, "made": made}
    lines = ["| metric | value |", "| --- | --- |", *(f"| {row.name} | {_shown(row)} |" for row in scores)]
    definitions = dict.fromkeys(row.definition for row in scores if row.definition)
    lines += ["", *(f"- {definition}" for definition in definitions)]
    write_text(out / "metrics.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(out / "metrics.md", "\n".join(lines) + "\n")


def _shown(row: Score) -> str:
    return f"not computed: {row.reason}" if row.value is None else f"{row.value:.5g}"


def _table(scores: Sequence[Score]) -> str:
    """Aligned lines, a slope with its interval on one; the points of curves are in the file alone."""
    by_name = {row.name: row for row in scores}
    shown = {}
    for row in scores:
        parts = row.name.split(".")
        if any(part in ("slope_low", "slope_high") or (part[:4] == "step" and part[4:].isdigit()) for part in parts):
            continue
        bounds = [by_name.get(re.sub(r"\bslope\b", f"slope_{end}", row.name)) for end in ("low", "high")]
        interval = (
            f" ({', '.join(_shown(bound) for bound in bounds if bound)})" if "slope" in parts and bounds[0] else ""
        )
        shown[row.name] = _shown(row) + interval
    width = max(map(len, shown), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in shown.items())
