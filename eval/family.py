"""``python -m eval family``: what the frozen parts of a model family can do, on held-out windows.

The autoencoder bounds every picture, the probe and the evaluation CLIP are the judges, and the base text-to-image
model is where outpainting starts from: their own scores come first.
"""

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from eval import scoring, sources
from eval.clip import EvaluationClip
from eval.family_config import FamilyConfig
from eval.figures import Figure, Target, missed_line, text_table
from eval.files import check_out
from eval.functional.bootstrap import Estimate, ratio_estimate
from eval.functional.clip_sim import retrieval_top1
from eval.functional.psnr import psnr
from eval.judge import load_judge
from eval.outputs import provenance, write_numbers, write_page
from eval.readings import JudgeConfig, Reading
from eval.report.page import Page
from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.heldout.evalset import EvalWindow, WindowFacts
from lit_outpaint.heldout.walks import Pixels

RETRIEVAL_GROUP = 64


def family(config: FamilyConfig, yaml: str = "") -> Page:
    """Score every part, print the table and write the report.

    Raises:
        ValueError: something given does not fit.
        FileNotFoundError: a part of the family, or the data, is not there.
    """
    rows, pictures = sources.load_windows(config.data, config.windows)
    judge, clip = load_judge(config.models, config.judge), sources.load_clip(config.models)
    pipeline = sources.load_base_pipeline(config.models)
    check_out(config.out)
    started = time.monotonic()
    figures, decoded = autoencoder_figures(pipeline.vae, pictures, config.batch_size)
    _progress(f"autoencoder: {figures[0].cells()[1]}")
    looks = judge.look(pictures)
    figures += probe_figures(judge.read(looks.maps), [row.facts for row in rows], config.judge)
    _progress("probe: done")
    figures += retrieval_figures(clip, rows, pictures)
    drawn_rows = rows[: config.drawn]
    drawn = _draw(pipeline, drawn_rows, pictures.shape[1:3], config)
    readings = judge.read(judge.look(drawn).maps)
    real_readings = judge.read(looks.maps[: len(drawn_rows)])
    figures += base_figures(readings, real_readings, drawn_rows, config.judge)
    page = Page(
        title=f"Model family: {config.models}",
        subtitle=f"{len(rows)} held-out windows",
        figures=figures,
        facts=provenance(
            models=config.models, data=config.data, seed=config.seed, seconds=f"{time.monotonic() - started:.1f}"
        ),
        config=yaml,
        pictures=_shown(drawn_rows, pictures, decoded, drawn),
    )
    write_numbers(config.out, page.title, figures, page.facts)
    write_page(config.out, page)
    print(text_table(figures))
    print(f"{missed_line(figures)}; report: {config.out / 'report.html'}")
    return page


@torch.inference_mode()
def autoencoder_figures(vae: AutoencoderKL, pictures: Pixels, batch_size: int) -> tuple[list[Figure], Pixels]:
    """PSNR of coding and decoding (posterior mode, 8-bit), and the decoded pictures."""
    decoded = []
    for start in range(0, len(pictures), batch_size):
        batch = to_pixel_values(pictures[start : start + batch_size])
        decoded.append(to_uint8(vae.decode(vae.encode(batch).latent_dist.mode()).sample))
    stacked = np.concatenate(decoded)
    values = psnr(*(torch.from_numpy(item).permute(0, 3, 1, 2) for item in (stacked, pictures))).double().numpy()
    figure = Figure(
        key="vae_psnr",
        title=f"VAE reconstruction, PSNR (mean over {len(pictures)} windows)",
        definition="Mean over windows of the PSNR in dB of the decoded posterior mode, rounded to 8 bits, peak 255, "
        "over all pixels and channels.",
        unit="dB",
        estimate=ratio_estimate(values, np.ones_like(values)),
        target=Target(">=", 30.0),
    )
    return [figure], stacked


def probe_figures(readings: Sequence[Reading], facts: Sequence[WindowFacts], config: JudgeConfig) -> list[Figure]:
    """How often the probe is right about real windows."""
    truth = "the truth of the held-out real windows where it has an answer"
    asked: list[tuple[str, str, scoring.Ask, float | None, str]] = [
        ("biome", "dominant biome", scoring.biome_obeyed, 0.98, "The dominant biome read has a true share of at least "
         f"{config.min_biome_share}: the rule that judges generated strips."),
        ("biome_dominant", "dominant biome is the truth's dominant one", scoring.biome_dominant, None,
         "Stricter: equal to the truth's dominant biome, however narrow its lead."),
        ("time", "time of day", scoring.time_kept, 0.98, f"Time of day read against {truth}."),
        ("weather", "weather", scoring.weather_kept, 0.98, f"Weather read against {truth}."),
        ("mountains", "mountains", scoring.mountains_kept, None, f"Mountains read against {truth}."),
        ("object_kind", "object kind (recall)", scoring.kinds_present, 0.95, "True object kinds that are seen."),
        ("colour", "object colour (recall of kind with colour)", scoring.colours_bound, 0.95,
         "True (kind, colour) pairs that are seen as such; a missed object counts as wrong."),
        ("kinds_unasked", "object kinds seen that the truth does not name (per window)", scoring.kinds_unasked, None,
         "Objects cut by the border count, so 0 is not to be had."),
    ]  # fmt: skip
    return [
        Figure(
            key=f"probe_{key}",
            title=f"probe on real windows: {title}",
            definition=definition,
            unit="plain" if key == "kinds_unasked" else "percent",
            estimate=_tally(ask, readings, facts, config),
            target=None if target is None else Target(">=", target),
        )
        for key, title, ask, target, definition in asked
    ]


def retrieval_figures(clip: EvaluationClip, rows: Sequence[EvalWindow], pictures: Pixels) -> list[Figure]:
    """Picture-to-caption retrieval in groups of 64: well-posed groups, and groups that differ in wording alone."""
    captions = [fullest_caption(row) for row in rows]
    posed = distinct_groups(rows, captions, RETRIEVAL_GROUP, exclusive=True)
    worded = distinct_groups(rows, captions, RETRIEVAL_GROUP, exclusive=False)
    name = f"evaluation CLIP (open_clip {clip.name}): retrieval among {RETRIEVAL_GROUP} captions, top-1"
    how = (
        f"Windows whose own caption (of the five the one that names most) is the nearest of {RETRIEVAL_GROUP} by "
        "cosine; a tie is a miss."
    )
    return [
        Figure(
            key="eval_clip_retrieval_top1",
            title=f"{name}, each caption true of its window alone",
            definition=f"{how} No caption of a group holds for another window of it. {len(posed)} groups.",
            unit="percent",
            estimate=_retrieval(clip, captions, pictures, posed),
            target=Target(">=", 0.90),
        ),
        Figure(
            key="eval_clip_retrieval_top1_wording",
            title=f"{name}, captions that differ in wording",
            definition=f"{how} Captions of a group differ as texts, but one may hold for several windows, so 100 % is "
            f"not to be had. {len(worded)} groups.",
            unit="percent",
            estimate=_retrieval(clip, captions, pictures, worded),
        ),
    ]


def base_figures(
    drawn: Sequence[Reading], real: Sequence[Reading], rows: Sequence[EvalWindow], config: JudgeConfig
) -> list[Figure]:
    """What the base model draws of what its prompt names."""
    facts = [scoring.named_in(row.captions[0], row.facts) for row in rows]
    asked = [
        ("biome", "biome", scoring.biome_named, 0.95, "Windows whose dominant biome is one that the prompt names."),
        ("object_kind", "object kind present", scoring.kinds_present, 0.85, "Kinds the prompt names that are seen."),
        ("colour", "colour bound", scoring.colours_bound, None, "Named (kind, colour) pairs that are seen as such."),
    ]
    return [
        Figure(
            key=f"base_{key}",
            title=f"base text-to-image, one window from a prompt: {title}",
            definition=f"{definition} Prompt: the first of the five captions of a held-out window.",
            unit="percent",
            estimate=_tally(ask, drawn, facts, config),
            real=_tally(ask, real, facts, config),
            target=None if target is None else Target(">=", target),
        )
        for key, title, ask, target, definition in asked
    ]


def fullest_caption(row: EvalWindow) -> str:
    """Of the captions of a window the one that names most objects and biomes; the first of equals."""

    def named(caption: str) -> int:
        facts = scoring.named_in(caption, row.facts)
        return len(facts.objects) + len(facts.biomes)

    return max(row.captions, key=named)


def distinct_groups(
    rows: Sequence[EvalWindow], captions: Sequence[str], size: int, *, exclusive: bool
) -> list[list[int]]:
    """Disjoint groups of windows whose captions differ; filled greedily in order.

    Args:
        rows: the windows.
        captions: one per window.
        size: windows per group; a last group that cannot be filled is dropped.
        exclusive: also ask that no caption holds for another window of its group.
    """
    named = [scoring.named_in(caption, row.facts) for caption, row in zip(captions, rows, strict=True)]

    def clash(one: int, other: int) -> bool:
        if captions[one] == captions[other]:
            return True
        return exclusive and (
            scoring.fits(named[one], rows[other].facts) or scoring.fits(named[other], rows[one].facts)
        )

    groups: list[list[int]] = []
    rest = list(range(len(rows)))
    while len(rest) >= size:
        group: list[int] = []
        for index in rest:
            if len(group) < size and not any(clash(index, member) for member in group):
                group.append(index)
        if len(group) < size:
            break
        groups.append(group)
        rest = sorted(set(rest) - set(group))
    return groups


def _retrieval(
    clip: EvaluationClip, captions: Sequence[str], pictures: Pixels, groups: Sequence[Sequence[int]]
) -> Estimate | None:
    if not groups:
        return None
    hits = [
        retrieval_top1(clip.encode_images(pictures[list(group)]), clip.encode_texts([captions[i] for i in group]))
        for group in groups
    ]
    flat = torch.cat(hits).double().numpy()
    return ratio_estimate(flat, np.ones_like(flat))


def _tally(
    ask: scoring.Ask, readings: Sequence[Reading], facts: Sequence[WindowFacts], config: JudgeConfig
) -> Estimate | None:
    sums = np.array(
        [ask(reading, truth, config) for reading, truth in zip(readings, facts, strict=True)], dtype=np.float64
    )
    return ratio_estimate(sums[:, 0], sums[:, 1]) if sums[:, 1].any() else None


def _draw(pipeline: Callable, rows: Sequence[EvalWindow], size: tuple[int, int], config: FamilyConfig) -> Pixels:
    images: list[NDArray[np.uint8]] = []
    for start in range(0, len(rows), config.batch_size):
        part = rows[start : start + config.batch_size]
        output = pipeline(
            prompt=[row.captions[0] for row in part],
            height=size[0],
            width=size[1],
            num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale,
            generator=[_generator(config.seed, row.key) for row in part],
            output_type="np",
        )
        images += [(image * 255).round().astype(np.uint8) for image in output.images]
        _progress(f"base model: {len(images)}/{len(rows)} windows drawn")
    return np.stack(images)


def _generator(seed: int, key: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def _shown(
    rows: Sequence[EvalWindow], pictures: Pixels, decoded: Pixels, drawn: Pixels
) -> list[tuple[str, NDArray[np.uint8]]]:
    return [
        (
            f"real | decoded by the VAE | drawn by the base model from: {rows[index].captions[0]}",
            np.concatenate([pictures[index], decoded[index], drawn[index]], axis=1),
        )
        for index in sources.picks(24, len(rows))
    ]


def _progress(line: str) -> None:
    print(line, flush=True)
