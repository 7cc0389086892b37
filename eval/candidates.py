"""Choosing among versions of a window by the evaluation CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.clip import EvaluationClip
from eval.functional.clip_sim import clip_sim
from lit_outpaint.protocols import Candidate


class ClipScorer:
    """Prefers the version whose window is nearest to its local caption, by cosine of the evaluation CLIP.

    Pictures that were chosen by a model must not be compared by the same model with pictures that were not: say so
    beside any CLIP similarity of such a run, or score it with another one.

    Args:
        directory: of an open_clip model; see `EvaluationClip`.

    Raises:
        FileNotFoundError: the directory holds no open_clip model.
    """

    def __init__(self, directory: str = "models/scapes/eval_clip") -> None:
        self.clip = EvaluationClip(Path(directory))

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return a number per version of a window, the higher the better."""
        images = self.clip.encode_images(np.stack([candidate.window for candidate in candidates]))
        texts = self.clip.encode_texts([candidate.local_caption for candidate in candidates])
        return [float(score) for score in clip_sim(images, texts)]
