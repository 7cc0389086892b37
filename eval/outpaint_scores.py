"""The figures of an outpainting run, from finished panoramas and what the networks read in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eval.clip import EvaluationClip
from eval.figures import Figure, Target
from eval.functional.bootstrap import Estimate, ratio_estimate, statistic_estimate
from eval.functional.clip_sim import clip_sim
from eval.functional.inception_score import inception_score, probability_sums, score_from_sums
from eval.functional.seam import seam_score
from eval.judge import Judge, JudgeConfig, Reading, strip_of
from eval.questions import QUESTIONS, Question
from lit_outpaint.data.evalset import EvalPanorama
from lit_outpaint.rollout import Geometry, Pixels


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything measured on one set of panoramas; arrays are ``(panoramas, steps)``, step 1 first."""

    windows: list[list[Reading]]
    strips: list[list[Reading]]
    scene_logits: Tensor
    """``(panoramas, steps, scenes)``."""
    seam: NDArray[np.float64]
    sim_local: NDArray[np.float64]
    sim_global: NDArray[np.float64]


class Scored(NamedTuple):
    """Sums of one question: ``(panoramas, steps)`` each."""

    hits: NDArray[np.float64]
    asked: NDArray[np.float64]

    def estimate(self) -> Estimate | None:
        """Over all steps, with an interval over panoramas; None when nothing was asked."""
        if not self.asked.any():
            return None
        return ratio_estimate(self.hits.sum(axis=1), self.asked.sum(axis=1))

    def at_last_step(self) -> "Scored":
        """The last step alone."""
        return Scored(self.hits[:, -1:], self.asked[:, -1:])

    def curve(self) -> tuple[float | None, ...]:
        """Value at each step."""
        sums = zip(self.hits.sum(axis=0), self.asked.sum(axis=0), strict=True)
        return tuple(float(hits / asked) if asked else None for hits, asked in sums)


def gather(
    panoramas: Sequence[Pixels], truths: Sequence[EvalPanorama], geometry: Geometry, judge: Judge, clip: EvaluationClip
) -> Evidence:
    """Read all windows that the steps of a run added.

    Args:
        panoramas: pictures of equal size, generated or real.
        truths: one per picture, cut to the steps that were drawn.
        geometry: direction, window and stride.
        judge: reads what is to be seen.
        clip: the evaluation CLIP.
    """
    count, steps = len(truths), len(truths[0].steps)
    windows = np.stack([geometry.window_at(panorama, step) for panorama in panoramas for step in range(1, steps + 1)])
    looks = judge.look(windows)
    share = geometry.stride_px / geometry.window_px
    strips = [strip_of(maps, geometry.direction, share) for maps in looks.maps]
    pixels = torch.from_numpy(windows).permute(0, 3, 1, 2).float()
    features = clip.encode_images(windows)
    local = clip.encode_texts([step.local_caption for truth in truths for step in truth.steps])
    whole = clip.encode_texts([truth.global_caption for truth in truths for _ in truth.steps])

    def table(values: Tensor) -> NDArray[np.float64]:
        return values.double().numpy().reshape(count, steps)

    return Evidence(
        windows=_rows(judge.read(looks.maps), steps),
        strips=_rows(judge.read(strips), steps),
        scene_logits=looks.scene_logits.reshape(count, steps, -1),
        seam=table(seam_score(pixels, geometry.joint, geometry.axis)),
        sim_local=table(clip_sim(features, local)),
        sim_global=table(clip_sim(features, whole)),
    )


def figures(
    generated: Evidence,
    real: Evidence,
    truths: Sequence[EvalPanorama],
    changed_px: NDArray[np.int64],
    geometry: Geometry,
    config: JudgeConfig,
    clip_name: str,
) -> list[Figure]:
    """All figures of a run, the ones with targets first.

    Args:
        generated: what was drawn.
        real: the true panoramas, read in the same way.
        truths: facts and captions, cut to the steps that were drawn.
        changed_px: known pixels that a step changed, ``(panoramas, steps)``.
        geometry: direction, window and stride.
        config: thresholds of the judge.
        clip_name: names the evaluation CLIP in titles.
    """
    judged = [_judged(ask, generated, real, truths, config) for ask in QUESTIONS]
    targeted = [figure for figure in judged if figure.target is not None]
    reported = [figure for figure in judged if figure.target is None]
    return [
        *targeted,
        *_seams(generated, real, geometry),
        _known_changed(changed_px),
        *reported,
        _similarity(
            "clip_sim_window_local", "its local caption", generated.sim_local, real.sim_local, geometry, clip_name
        ),
        _similarity(
            "clip_sim_window_global", "its global caption", generated.sim_global, real.sim_global, geometry, clip_name
        ),
        _inception(generated.scene_logits, real.scene_logits, geometry),
    ]


def per_panorama(evidence: Evidence, truths: Sequence[EvalPanorama], config: JudgeConfig) -> list[dict[str, Any]]:
    """Scores of every panorama and step, so that two runs can be compared pair by pair later."""
    scored = {question.key: _score(question, evidence, truths, config) for question in QUESTIONS}
    measured = {"seam": evidence.seam, "clip_sim_window_local": evidence.sim_local}
    measured["clip_sim_window_global"] = evidence.sim_global
    return [
        {
            "key": truth.key,
            **{key: np.round(values[index], 6).tolist() for key, values in measured.items()},
            "judged": {
                key: {"hits": sums.hits[index].tolist(), "asked": sums.asked[index].tolist()}
                for key, sums in scored.items()
            },
        }
        for index, truth in enumerate(truths)
    ]


def _judged(
    question: Question, generated: Evidence, real: Evidence, truths: Sequence[EvalPanorama], config: JudgeConfig
) -> Figure:
    scored = _score(question, generated, truths, config)
    ceiling = _score(question, real, truths, config)
    return Figure(
        key=question.key,
        title=question.title,
        definition=question.definition.format(**vars(config)),
        unit="plain" if question.key.startswith("kinds_unasked") else "percent",
        estimate=(scored.at_last_step() if question.last_step_only else scored).estimate(),
        real=(ceiling.at_last_step() if question.last_step_only else ceiling).estimate(),
        target=question.target,
        curve=scored.curve(),
        real_curve=ceiling.curve(),
    )


def _score(question: Question, evidence: Evidence, truths: Sequence[EvalPanorama], config: JudgeConfig) -> Scored:
    readings = evidence.strips if question.view == "strip" else evidence.windows
    tallies = [
        [
            question.ask(reading, step.strip_facts if question.view == "strip" else step.facts, config)
            for reading, step in zip(row, truth.steps, strict=True)
        ]
        for row, truth in zip(readings, truths, strict=True)
    ]
    sums = np.array(tallies, dtype=np.float64)
    return Scored(sums[..., 0], sums[..., 1])


def _seams(generated: Evidence, real: Evidence, geometry: Geometry) -> list[Figure]:
    ones = np.ones_like(generated.seam)
    drawn, truth = Scored(generated.seam, ones), Scored(real.seam, ones)
    quotient = _quotient(generated.seam, real.seam)
    where = f"window {geometry.window_px} px, joint at {geometry.joint} px"
    return [
        Figure(
            key="seam_over_real",
            title=f"seam score over that of real panoramas ({where})",
            definition="Mean seam score of generated windows over the mean of the real windows at the same place.",
            unit="plain",
            estimate=quotient,
            real=_quotient(real.seam, real.seam),
            target=Target("<=", 1.25),
            curve=Scored(generated.seam, real.seam).curve(),
            real_curve=Scored(real.seam, real.seam).curve(),
        ),
        Figure(
            key="seam",
            title=f"seam score ({where})",
            definition="Mean absolute difference of the two lines at the joint over that of all other neighbouring "
            "lines of the window; mean over windows. 1 says that nothing stands out.",
            unit="plain",
            estimate=drawn.estimate(),
            real=truth.estimate(),
            curve=drawn.curve(),
            real_curve=truth.curve(),
        ),
    ]


def _quotient(generated: NDArray[np.float64], real: NDArray[np.float64]) -> Estimate | None:
    """Mean over mean; each resample takes the drawn and the real panorama of a pair together."""
    if not real.any():
        return None

    def quotient(indices: NDArray[np.integer]) -> float:
        return float(generated[indices].sum() / real[indices].sum())

    return statistic_estimate(len(generated), generated.size, quotient)


def _known_changed(changed_px: NDArray[np.int64]) -> Figure:
    total = float(changed_px.sum())
    return Figure(
        key="known_pixels_changed",
        title="known pixels changed (sum over all steps)",
        definition="Pixels that were on a canvas before a step and differ after it, over all steps and panoramas.",
        unit="count",
        estimate=Estimate(total, total, total, len(changed_px), changed_px.size),
        real=Estimate(0.0, 0.0, 0.0, len(changed_px), changed_px.size),
        target=Target("<=", 0),
        curve=tuple(float(value) for value in changed_px.sum(axis=0)),
    )


def _similarity(
    key: str,
    caption: str,
    generated: NDArray[np.float64],
    real: NDArray[np.float64],
    geometry: Geometry,
    clip_name: str,
) -> Figure:
    ones = np.ones_like(generated)
    drawn, truth = Scored(generated, ones), Scored(real, ones)
    return Figure(
        key=key,
        title=f"CLIP-SIM, window to {caption} ({clip_name}, {generated.size} windows of {geometry.window_px} px, "
        f"stride {geometry.stride_px} px)",
        definition="Cosine of image and text features of the evaluation CLIP, not scaled; mean over the windows of "
        "all steps.",
        unit="plain",
        estimate=drawn.estimate(),
        real=truth.estimate(),
        curve=drawn.curve(),
        real_curve=truth.curve(),
    )


def _inception(generated: Tensor, real: Tensor, geometry: Geometry) -> Figure:
    count, steps, scenes = generated.shape
    return Figure(
        key="inception_score",
        title=f"IS (scapes scene head, {scenes} classes, {count * steps} windows of {geometry.window_px} px, "
        f"stride {geometry.stride_px} px, 1 split)",
        definition="Inception Score over the windows of all steps, with the probe's scene head as the classifier; the "
        "interval redraws panoramas. Compare only values with the same number of windows.",
        unit="plain",
        estimate=_inception_estimate(generated),
        real=_inception_estimate(real),
        curve=tuple(inception_score(generated[:, step]).mean for step in range(steps)),
        real_curve=tuple(inception_score(real[:, step]).mean for step in range(steps)),
    )


def _inception_estimate(logits: Tensor) -> Estimate:
    sums = [probability_sums(row) for row in logits]
    probabilities, entropies = torch.stack([row[0] for row in sums]), torch.stack([row[1] for row in sums])
    count, steps = logits.shape[:2]

    def score(indices: NDArray[np.integer]) -> float:
        chosen = torch.from_numpy(indices)
        return score_from_sums(probabilities[chosen].sum(dim=0), entropies[chosen].sum(), len(chosen) * steps)

    return statistic_estimate(count, count * steps, score)


def _rows(readings: list[Reading], steps: int) -> list[list[Reading]]:
    return [readings[start : start + steps] for start in range(0, len(readings), steps)]
