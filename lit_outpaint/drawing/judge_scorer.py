"""Versions of a window, chosen by what a judge sees in them: the closed loop on the canvas.

On a canvas only the strip of the step at hand may be drawn again, so the loop there is: draw N versions of the strip,
keep the one that agrees best with its caption. Known pixels stay, bit for bit.

    outpaint ... --candidates 4 --scorer lit_outpaint.drawing.judge_scorer.JudgeScorer
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lit_outpaint.drawing.candidates import SeamScorer
from lit_outpaint.drawing.judging import PictureJudge, judge
from lit_outpaint.drawing.probe_judge import ProbeJudge
from lit_outpaint.planning.reading import says_where
from lit_outpaint.planning.rules import RulePlanner
from lit_outpaint.protocols import Candidate


class JudgeScorer:
    """The share of what the local caption names that the judge finds right; between equals the better seam.

    Args:
        judge: looks at the windows; the probe that steers the closed loop when absent.
    """

    def __init__(self, judge: PictureJudge | None = None) -> None:
        self.judge: PictureJudge = judge or ProbeJudge()

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return a number per version of a window, the higher the better."""
        looks = self.judge.look(np.stack([candidate.window for candidate in candidates]))
        seams = SeamScorer().score(candidates)
        scores = []
        for candidate, look, seam in zip(candidates, looks, seams, strict=True):
            plan = RulePlanner().plan(candidate.local_caption).plan
            wish = self.judge.wish(plan, says_where(candidate.local_caption))
            # A seam's score lies in [-1, 0]; one finding more or less weighs more than any seam.
            scores.append(judge(wish, look).score + seam / 1000)
        return scores
