import pytest

from lit_outpaint.chat.thoughts import final_answer, holds_thoughts

ANSWER, DRAFT = '{"caption": "a lake"}', 'Such as {"caption": "a wrong draft"}, no.'
FINISHED = {
    "no thoughts": ANSWER,
    "think": f"<think>{DRAFT}</think>\n{ANSWER}",
    "thinking": f"<thinking>\n{DRAFT}\n</thinking>{ANSWER}",
    "thought": f"<thought>{DRAFT}</thought>{ANSWER}",
    "reasoning": f"<reasoning>{DRAFT}</reasoning>{ANSWER}",
    "brackets": f"[THINK]{DRAFT}[/THINK]{ANSWER}",
    "a name space": f"<seed:think>{DRAFT}</seed:think>{ANSWER}",
    "triangles": f"\u25c1think\u25b7{DRAFT}\u25c1/think\u25b7{ANSWER}",
    "special tokens": f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}",
    "begin and end": f"<|begin_of_thought|>{DRAFT}<|end_of_thought|>{ANSWER}",
    "opened by the template": f"{DRAFT}</think>{ANSWER}",
    "twice": f"<think>{DRAFT}</think><think>{DRAFT}</think>{ANSWER}",
    "its mark is named inside": f"<think>I write <think>, then </think>: {DRAFT}</think>{ANSWER}",
    "behind the answer": f"{ANSWER}<think>{DRAFT}",
    "harmony": "<|channel|>analysis<|message|>"
    f"{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
    "harmony with a form": f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant"
    f"<|channel|>final <|constrain|>json<|message|>{ANSWER}",
    "harmony without its marks": f"analysisThe user asks. {DRAFT}assistantfinal{ANSWER}",
}
CUT = {
    "think": f"<think>{DRAFT}",
    "brackets": f"[THINK]{DRAFT}",
    "after another": f"<think>{DRAFT}</think><think>{DRAFT}",
    "harmony": f"<|channel|>analysis<|message|>{DRAFT}",
    "harmony before its answer": f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>fin",
    "harmony without its marks": f"analysisThe user asks. {DRAFT}",
}


@pytest.mark.parametrize("case", FINISHED)
def test_the_final_answer_counts(case: str) -> None:
    assert final_answer(FINISHED[case]).removeprefix("<|START_RESPONSE|>").strip() == ANSWER
    assert holds_thoughts(FINISHED[case]) == (case not in ("no thoughts", "harmony without its marks"))


@pytest.mark.parametrize("case", CUT)
def test_a_draft_in_thoughts_that_were_cut_off_does_not(case: str) -> None:
    assert final_answer(CUT[case]).strip() == ""


def test_words_of_an_answer_are_no_marks() -> None:
    for text in ("a [thoughtful] man", "1 < think of 2 > 3", "analysis of a lake", "<b>a lake</b>"):
        assert final_answer(text) == text


@pytest.mark.parametrize(
    "answer",
    [
        '{"caption": "the moon [reflection] on a lake"}',
        '{"caption": "<thought> bubble </thought> on a wall"}',
        'analysis: the view\n{"caption": "a barn"}',
    ],
)
def test_words_that_look_like_marks_are_words(answer: str) -> None:
    assert final_answer(answer) == answer
