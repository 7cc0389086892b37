import pytest

from eval.score_names import Name, Scores, parse


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fid.window.toy.n4-6", Name("fid.window.toy", num=4)),
        ("seam.right-stride4.real-n6", Name("seam.right-stride4", side="real", num=6)),
        ("drift.a.w8.beyond_real-n2.slope_low", Name("drift.a.w8", "beyond_real", 2, None, "slope_low")),
        ("is.window.n2.step10.window8-stride4-right", Name("is.window.window8-stride4-right", num=2, step=10)),
        ("slopes.n4th.step.nothing", Name("slopes.n4th.step.nothing")),
    ],
)
def test_names_are_taken_apart(text: str, name: Name) -> None:
    assert parse(text) == name


def test_scores_are_found_by_side_and_end() -> None:
    values = {"a.n2": 1.0, "a.real-n3": 2.0, "a.n2.slope": 0.5, "a.n2.step0": 3.0, "a.n2.step5": 4.0}
    scores = Scores(values, {"a.n9.step0": 7.0})
    assert scores.names == {"a": "a.n2"}
    assert scores.value("a", "") == (1.0, 2)
    assert scores.value("a", "real") == (2.0, 3)
    assert scores.value("a", "", "slope") == (0.5, 2)
    assert scores.value("a", "beyond_real") is None
    assert scores.points("a", "") == {0: 3.0, 5: 4.0}
    assert scores.points("a", "real") == {0: 7.0}
