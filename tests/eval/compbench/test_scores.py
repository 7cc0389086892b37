import pytest

from eval.compbench.items import Item, Question, Scored
from eval.compbench.scores import figures, lowest_on_true, ratios


def _row(
    key: str, scores: tuple[float, ...], category: str = "colour", pair: str | None = None, **more: object
) -> Scored:
    skills = ("present", "colour", "colour")[: len(scores)]
    return Scored(Item(key=key, category=category, text=key, skills=skills, pair=pair), (scores,), **more)  # type: ignore[arg-type]


ROWS = [
    _row("a", (1, 1, 1), pair="p"),
    _row("b", (1, 0, 1), pair="p"),
    _row("c", (1, 1), pair="q"),
    _row("d", (1, 1), pair="q"),
    _row("e", (0,), category="presence"),
]


def _values(rows: list[Scored], real: list[Scored] | None = None) -> dict[str, float]:
    made = figures(ratios(rows), ratios(real or []), None, "toy")
    return {figure.key: figure.estimate.value for figure in made if figure.estimate}


def test_shares_are_over_statements_and_means_over_prompts() -> None:
    values = _values(ROWS)
    assert values["colour.atoms"] == pytest.approx(9 / 10)
    assert values["colour.am"] == pytest.approx((1 + 2 / 3 + 1 + 1) / 4)
    assert values["colour.gm"] == pytest.approx(3 / 4)
    assert values["all.gm"] == pytest.approx(3 / 5)
    assert values["colour.colour"] == pytest.approx(5 / 6)
    assert values["all.present"] == pytest.approx(4 / 5)


def test_pair_counts_once_and_only_when_both_hold() -> None:
    assert _values(ROWS)["colour.pairs"] == pytest.approx(1 / 2)


def test_several_pictures_of_a_prompt_weigh_as_one() -> None:
    first = [row._replace(scores=row.scores * 2) for row in ROWS]
    assert _values(first) == _values(ROWS)
    colour = Item(key="a", category="colour", text="a", skills=("present", "colour"), pair="p")
    other = Item(key="b", category="colour", text="b", skills=("present", "colour"), pair="p")
    values = _values([Scored(colour, ((1, 1), (1, 0))), Scored(other, ((1, 1), (0, 0)))])
    assert values["colour.atoms"] == pytest.approx(5 / 8)
    # Each picture holds or does not; that of the mean would be sqrt(1 / 2) for the first prompt.
    assert values["colour.gm"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert values["colour.pairs"] == pytest.approx(1 / 2)


def test_half_of_a_pair_counts_as_none() -> None:
    assert "colour.pairs" not in _values(ROWS[:1])


def test_one_skill_alone_is_not_told_twice() -> None:
    assert "presence.present" not in _values(ROWS)


def test_product_is_told_of_probabilities_alone() -> None:
    questions = (Question("a?", "yes", "noun_phrase"), Question("b?", "yes", "noun_phrase"))
    item = Item(key="a", category="color", text="a and b", skills=("noun_phrase",) * 2, questions=questions)
    values = _values([Scored(item, ((0.5, 0.8),))])
    assert values["color.product"] == pytest.approx(0.4)
    assert values["color.gm"] == pytest.approx(0.4**0.5)
    assert "colour.product" not in _values(ROWS)


def test_judge_on_true_pictures_is_a_figure_with_a_target() -> None:
    true = [_row("a", (1, 1, 1)), _row("e", (0,), category="presence")]
    made = figures(ratios(ROWS), ratios(true), None, "toy")
    (judge,) = [figure for figure in made if figure.key == "judge.atoms"]
    assert judge.estimate is not None
    assert (judge.estimate.value, judge.met) == (0.75, False)
    lowest = lowest_on_true(made)
    assert lowest is not None
    assert lowest.key == "presence.atoms"


def test_clip_similarity_stands_beside_and_names_its_count() -> None:
    rows = [_row("a", (1,), clip_sim=0.2), _row("b", (1,), clip_sim=0.4)]
    (figure,) = [each for each in figures(ratios(rows), [], "toy_clip", "toy") if each.key == "clip_sim"]
    assert figure.title == "clip_sim.chunked.toy_clip.n2"
    assert figure.estimate is not None
    assert figure.estimate.value == pytest.approx(0.3)
