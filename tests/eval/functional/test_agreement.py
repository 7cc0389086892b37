import numpy as np
import pytest

from eval.functional.agreement import fleiss_kappa, krippendorff_alpha

# Fourteen raters, ten subjects, five categories: the worked example in common use for the statistic.
WORKED = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def _counts(ratings: list[str]) -> np.ndarray:
    """Strings of one digit per item and rater, ``*`` where there is none, as counts."""
    return np.array([[sum(row[item] == c for row in ratings) for c in "1234"] for item in range(len(ratings[0]))])


def _reference_alpha(ratings: list[str]) -> float:
    """One less observed over expected disagreement, counted answer by answer."""
    items = [[row[item] for row in ratings if row[item] != "*"] for item in range(len(ratings[0]))]
    items = [answers for answers in items if len(answers) > 1]
    pooled = [answer for answers in items for answer in answers]
    observed = sum(sum(a != b for a in answers for b in answers) / (len(answers) - 1) for answers in items)
    expected = sum(a != b for a in pooled for b in pooled) / (len(pooled) - 1)
    return 1 - observed / expected


def test_kappa_of_the_worked_example() -> None:
    assert fleiss_kappa(np.array(WORKED)) == pytest.approx(0.210, abs=5e-4)


def test_kappa_counted_by_hand() -> None:
    # Two items of two raters: one agrees, one does not. Observed 1/2; shares 3/4 and 1/4, so expected 10/16.
    assert fleiss_kappa(np.array([[2, 0], [1, 1]])) == pytest.approx((1 / 2 - 10 / 16) / (6 / 16))


def test_alpha_of_the_worked_example_with_missing_answers() -> None:
    ratings = ["*****34121133*3", "1*213343*******", "**21344*21133*4"]
    assert krippendorff_alpha(_counts(ratings)) == pytest.approx(0.691, abs=5e-4)
    assert krippendorff_alpha(_counts(ratings)) == pytest.approx(_reference_alpha(ratings))


def test_alpha_agrees_with_counting_answer_by_answer() -> None:
    rng = np.random.default_rng(0)
    ratings = ["".join(rng.choice(list("123*"), size=12)) for _ in range(4)]
    assert krippendorff_alpha(_counts(ratings)) == pytest.approx(_reference_alpha(ratings))


@pytest.mark.parametrize("statistic", [fleiss_kappa, krippendorff_alpha])
def test_full_agreement_is_one_and_chance_is_about_zero(statistic: object) -> None:
    assert callable(statistic)
    assert statistic(np.array([[3, 0], [0, 3]])) == 1
    votes = np.random.default_rng(1).binomial(3, 0.4, size=4000)
    assert statistic(np.stack([votes, 3 - votes], axis=1)) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("statistic", [fleiss_kappa, krippendorff_alpha])
def test_one_category_alone_cannot_be_judged(statistic: object) -> None:
    assert callable(statistic)
    assert statistic(np.array([[3, 0], [3, 0]])) is None


def test_too_few_answers() -> None:
    assert krippendorff_alpha(np.array([[1, 0], [0, 1]])) is None
    with pytest.raises(ValueError, match="same number"):
        fleiss_kappa(np.array([[2, 0], [2, 1]]))
