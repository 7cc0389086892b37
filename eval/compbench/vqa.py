"""Judges that answer questions about pictures: any class of the right shape, named by ``class_path``."""

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from PIL.Image import Image

from eval.compbench.items import Question

YES: Final = 0.5
"""Probability from which on a question counts as answered, where others depend on it."""


@runtime_checkable
class VqaJudge(Protocol):
    """Answers questions about a picture: a VQA model, a vision-language model, or a server of one."""

    name: str
    """Who answers, as reports say it."""

    def probabilities(self, picture: Image, questions: Sequence[Question]) -> list[float]:
        """Return the probability of the expected answer to each question, in [0, 1]."""
        ...


def vqa_scores(
    judge: VqaJudge, pictures: Sequence[Image], questions: Sequence[Question]
) -> tuple[tuple[float, ...], ...]:
    """The score of each question, a row for each picture of one prompt.

    A question whose parents are not answered, or score 0 themselves, scores 0 (DPG-Bench, Hu et al. 2024,
    arXiv:2403.05135).

    Raises:
        ValueError: the judge returns something else than one probability for each question.
    """
    return tuple(_one(judge, picture, questions) for picture in pictures)


def _one(judge: VqaJudge, picture: Image, questions: Sequence[Question]) -> tuple[float, ...]:
    said = [float(value) for value in judge.probabilities(picture, questions)]
    if len(said) != len(questions) or not all(0 <= value <= 1 for value in said):
        raise ValueError(
            f"the judge {judge.name} must return one probability in [0, 1] for each of {len(questions)} questions, got "
            f"{said[:8]}"
        )
    for place, question in enumerate(questions):
        # In place and in their order, as DPG-Bench does it: a question that fell takes those that depend on it along.
        if any(said[parent] < YES for parent in question.parents):
            said[place] = 0.0
    return tuple(said)
