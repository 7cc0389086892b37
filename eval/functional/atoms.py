"""Scores of prompts from the answers to their atoms (GenEval 2, Kamath et al. 2025, arXiv:2512.16853)."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def arithmetic_mean(scores: Float[NDArray[np.floating], " atoms"]) -> float:
    """Share of what a prompt asks for, the atom-level score of a prompt; scores lie in [0, 1]."""
    return float(np.mean(scores))


def geometric_mean(scores: Float[NDArray[np.floating], " atoms"]) -> float:
    """Prompt-level score: 0 as soon as one atom fails; with yes and no alone 1 exactly when all atoms hold."""
    return float(np.prod(scores) ** (1 / len(scores)))
