from pathlib import Path

import numpy as np
import pytest

from eval.candidates import ClipScorer
from eval.clip import EvaluationClip
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.protocols import Candidate, CandidateScorer

CAPTION = "a meadow with a red barn"


def test_versions_are_scored_by_the_cosine_with_their_local_caption(family: Path) -> None:
    windows = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    blank = np.zeros((32, 32, 3), np.uint8)
    scorer = ClipScorer(str(family / "eval_clip"))
    versions = [Candidate(window, blank, Box(16, 0, 32, 32), CAPTION, "a wide view") for window in windows]
    scores = scorer.score(versions)
    clip = EvaluationClip(family / "eval_clip")
    features = clip.encode_images(windows).double() @ clip.encode_texts([CAPTION])[0].double()
    np.testing.assert_allclose(scores, features.numpy(), atol=1e-5)
    assert len(set(scores)) == 3
    assert isinstance(scorer, CandidateScorer)
    with pytest.raises(FileNotFoundError, match="must be an open_clip directory"):
        ClipScorer(str(family))
