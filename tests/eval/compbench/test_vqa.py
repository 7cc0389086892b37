from collections.abc import Sequence

from PIL import Image

from eval.compbench.items import Question
from eval.compbench.vqa import vqa_scores


class Says:
    name = "says"

    def __init__(self, *probabilities: float) -> None:
        self._probabilities = list(probabilities)

    def probabilities(self, picture: Image.Image, questions: Sequence[Question]) -> list[float]:
        return self._probabilities


def test_a_question_falls_with_what_it_depends_on_however_far_up() -> None:
    questions = [
        Question("Is there a dog?", "yes", "any", ()),
        Question("Is it brown?", "yes", "any", (0,)),
        Question("Does the brown one run?", "yes", "any", (1,)),
        Question("Is there a tree?", "yes", "any", ()),
    ]
    picture = [Image.new("RGB", (8, 8))]
    assert vqa_scores(Says(0.2, 0.9, 0.8, 0.7), picture, questions) == ((0.2, 0.0, 0.0, 0.7),)
    assert vqa_scores(Says(0.6, 0.9, 0.8, 0.7), picture, questions) == ((0.6, 0.9, 0.8, 0.7),)
