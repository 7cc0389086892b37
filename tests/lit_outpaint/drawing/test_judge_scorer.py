from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.drawing.candidates import SeamScorer
from lit_outpaint.drawing.edit_operations import Seen
from lit_outpaint.drawing.judge_scorer import JudgeScorer
from lit_outpaint.drawing.judging import Look, Wish
from lit_outpaint.planning.placement import Placement
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.protocols import Candidate, CandidateScorer
from lit_outpaint.testing.judges import BrightnessJudge

CAPTION = "a barn on the left and a tent on the right"
NEW = Box(32, 0, 64, 64)


def candidate(level: int, drift: int = 0) -> Candidate:
    window = np.full((64, 64, 3), level, dtype=np.uint8)
    return Candidate(window, window + np.uint8(drift), NEW, CAPTION, CAPTION)


def test_the_version_that_agrees_with_its_caption_is_kept() -> None:
    scorer = JudgeScorer(BrightnessJudge(level=128.0))
    assert isinstance(scorer, CandidateScorer)
    dark, bright = scorer.score([candidate(10), candidate(200)])
    assert bright > dark


def test_between_equals_the_better_seam_is_kept() -> None:
    versions = [candidate(200, drift=40), candidate(200)]
    rough, smooth = JudgeScorer(BrightnessJudge(level=128.0)).score(versions)
    assert 0 < smooth - rough < 0.01
    assert SeamScorer().score(versions)[1] > SeamScorer().score(versions)[0]


@dataclass
class Shown:
    """Says beforehand which kinds each version shows; wishes for a sky."""

    kinds: list[list[str]]

    def wish(self, plan: RegionPlan, placed: Mapping[str, Placement]) -> Wish:
        return Wish(scenery=frozenset({"sky"}))

    def look(self, pictures: Any) -> list[Look]:
        box = (0.0, 0.0, 0.5, 0.5)
        return [
            Look(tuple(Seen(kind=kind, box=box, share=0.25) for kind in of_one), frozenset({"sky"}))
            for of_one in self.kinds
        ]


def test_a_thing_that_nobody_named_counts_as_wrong() -> None:
    judge = Shown([["balloon"], ["star", "star"], ["balloon", "barn"], []])
    one, stars, two, none = JudgeScorer(judge).score([candidate(200)] * 4)
    assert [round(score, 2) for score in (one, stars, two, none)] == pytest.approx([1 / 2, 1, 1 / 3, 1], abs=0.01)
    assert JudgeScorer(judge, anywhere=()).score([candidate(200)] * 4)[1] == pytest.approx(1 / 3, abs=0.01)
