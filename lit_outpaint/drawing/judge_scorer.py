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
from lit_outpaint.planning.placement import placements
from lit_outpaint.planning.rules import RulePlanner
from lit_outpaint.protocols import Candidate


class JudgeScorer:
    """The share of a window's things, shown or asked for, that are as its local caption says; then the better seam.

    A thing that the caption does not name counts as wrong: with a layout, and with captions by rules, it stands in no
    plan, and the next window may well draw it again.

    Args:
        judge: looks at the windows; the probe that steers the closed loop when absent.
        anywhere: kinds that are never too many.
    """

    def __init__(self, judge: PictureJudge | None = None, anywhere: Sequence[str] = ("bird", "star")) -> None:
        self.judge: PictureJudge = judge or ProbeJudge()
        self.anywhere = frozenset(anywhere)

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return a number per version of a window, the higher the better."""
        looks = self.judge.look(np.stack([candidate.window for candidate in candidates]))
        seams = SeamScorer().score(candidates)
        scores = []
        for candidate, look, seam in zip(candidates, looks, seams, strict=True):
            plan = RulePlanner().plan(candidate.local_caption).plan
            wish = self.judge.wish(plan, placements(plan))
            judgement = judge(wish, look)
            named = self.anywhere | {thing.kind for thing in wish.things}
            unnamed = sum(thing.kind not in named for thing in look.things)
            asked = max(1, len(judgement.findings) + judgement.num_scenery)
            # A seam's score lies in [-1, 0]; one finding more or less weighs more than any seam.
            scores.append(judgement.score * asked / (asked + unnamed) + seam / 1000)
        return scores
