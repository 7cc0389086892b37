"""Versions of a window: what is asked for, how one of several is chosen, and what is recorded of each.

A scorer is any `lit_outpaint.protocols.CandidateScorer`; the one that asks the evaluation CLIP is
``eval.candidates.ClipScorer``, because the core does not know that model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from lit_outpaint.canvas.compositing import crop
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import PlannedStep
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.seeding import window_generator, window_seed
from lit_outpaint.canvas.store import checksum
from lit_outpaint.captions.objects import caption_similarity
from lit_outpaint.protocols import Candidate, CandidateScorer, Written


class Version(NamedTuple):
    """One version of a step that is to be drawn."""

    step: PlannedStep
    caption: Written
    seed: int
    """Of the run, or of the edit that names the step."""
    number: int
    """0 where there is no choice."""

    @property
    def new(self) -> Box:
        """The new part, in window coordinates."""
        return self.step.new.shift(-self.step.window.x0, -self.step.window.y0)

    def generator(self) -> torch.Generator:
        """Draws the noise of this version and of no other."""
        return window_generator(self.seed, self.step.window, self.step.direction, self.number)


class SeamScorer:
    """Prefers the version whose known side, as the model drew it, is nearest to the known pixels at the seam.

    The score is minus the mean absolute error of the known pixels within ``band_px`` of the new part, in units of the
    whole range (0 is perfect, -1 is black for white). It is read before the seam treatment, which would hide the error:
    what the model did not see in the known pixels it does not carry on either.

    Args:
        band_px: how far from the seam known pixels count.

    Raises:
        ValueError: the band is not positive.
    """

    def __init__(self, band_px: int = 4) -> None:
        if band_px < 1:
            raise ValueError(f"band_px must be at least 1, got {band_px}")
        self.band_px = band_px

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return a number per version of a window, the higher the better."""
        return [-self._error(candidate) for candidate in candidates]

    def _error(self, candidate: Candidate) -> float:
        height, width = candidate.window.shape[:2]
        total = count = 0
        for band in _bands(candidate.new, self.band_px, height, width):
            part = np.s_[band.y0 : band.y1, band.x0 : band.x1]
            total += int(np.abs(candidate.window[part].astype(int) - candidate.decoded[part]).sum())
            count += 3 * band.area
        return total / (255 * count)


class WeightedScorer:
    """The weighted sum of what other scorers say.

    Args:
        scorers: asked one after the other.
        weights: one per scorer. A cosine of CLIP and a seam error both differ by about 0.02 between versions.

    Raises:
        ValueError: there is no scorer, or not one weight for each.
    """

    def __init__(self, scorers: list[CandidateScorer], weights: list[float]) -> None:
        if not scorers or len(scorers) != len(weights):
            raise ValueError(f"there must be one weight per scorer, got {len(weights)} for {len(scorers)} scorers")
        self.scorers, self.weights = scorers, weights

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return a number per version of a window, the higher the better."""
        rows = [scorer.score(candidates) for scorer in self.scorers]
        return [math.fsum(map(float.__mul__, self.weights, column)) for column in zip(*rows, strict=True)]


def choose(scorer: CandidateScorer, candidates: Sequence[Candidate]) -> tuple[int, tuple[float, ...]]:
    """Which version of a window is kept, and the score of each; a single one is not scored.

    Raises:
        ValueError: the scorer gave another number of scores, or one that is not finite.
    """
    if len(candidates) == 1:
        return 0, ()
    scores = tuple(round(float(score), 6) for score in scorer.score(candidates))
    if len(scores) != len(candidates) or not all(map(math.isfinite, scores)):
        raise ValueError(
            f"{type(scorer).__name__} must give a finite score to each of {len(candidates)} versions of a window, got "
            f"{list(scores)}"
        )
    return scores.index(max(scores)), scores


def record_of(
    version: Version,
    candidate: Candidate,
    scores: tuple[float, ...],
    *,
    before: str | None,
    revision: int,
    truncated: dict[str, str],
    seconds: float,
) -> tuple[StepRecord, UInt8[ndarray, "h w 3"]]:
    """The line of the journal for a version that was drawn, and its new pixels.

    Args:
        version: what was asked for.
        candidate: what was drawn.
        scores: of all versions of the step.
        before: the local caption before it, None for the first.
        revision: of the step.
        truncated: what the text encoder did not read.
        seconds: that drawing the step took.
    """
    step, caption = version.step, version.caption
    pixels = crop(candidate.window, step.window, step.new)
    record = StepRecord(
        step=step.index,
        revision=revision,
        direction=step.direction,
        window=step.window.as_tuple(),
        strip=step.new.as_tuple(),
        local_caption=caption.text,
        global_caption=candidate.global_caption,
        caption_source=caption.writer,
        caption_instead_of=caption.instead_of,
        caption_similarity=None if before is None else round(caption_similarity(caption.text, before), 4),
        truncated=truncated,
        seed=window_seed(version.seed, step.window, step.direction, version.number),
        candidate=version.number,
        candidate_scores=scores,
        seconds=seconds,
        checksum=checksum(pixels),
    )
    return record, pixels


def _bands(new: Box, band_px: int, height: int, width: int) -> Iterator[Box]:
    """The known pixels beside each seam of a new part, in window coordinates."""
    if new.x0 > 0:
        yield Box(max(new.x0 - band_px, 0), new.y0, new.x0, new.y1)
    if new.x1 < width:
        yield Box(new.x1, new.y0, min(new.x1 + band_px, width), new.y1)
    if new.y0 > 0:
        yield Box(new.x0, max(new.y0 - band_px, 0), new.x1, new.y0)
    if new.y1 < height:
        yield Box(new.x0, new.y1, new.x1, min(new.y1 + band_px, height))
