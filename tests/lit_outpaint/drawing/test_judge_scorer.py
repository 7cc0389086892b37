import numpy as np

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.drawing.candidates import SeamScorer
from lit_outpaint.drawing.judge_scorer import JudgeScorer
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
