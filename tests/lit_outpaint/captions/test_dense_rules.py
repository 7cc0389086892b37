import pytest

from lit_outpaint.captions.dense_rules import dense_by_rules

CAPTION = (
    "a wide view at dusk under a cloudy sky with mountains: a lake with a red lighthouse and a desert with a cactus"
)


@pytest.mark.parametrize("seed", range(6))
def test_a_caption_is_told_at_length_with_all_its_things(seed: int) -> None:
    text = dense_by_rules(CAPTION, seed=seed)
    assert 40 <= len(text.split()) <= 140
    for said in ("red lighthouse", "cactus", "lake", "desert", "at dusk", "under a cloudy sky", "mountains"):
        assert said in text, text
    assert dense_by_rules(CAPTION, seed=seed) == text


@pytest.mark.parametrize("caption", ["a dog", "boats", "two men riding horses on a beach, no mountains", "Il pleut."])
@pytest.mark.parametrize(("least", "most"), [(40, 140), (60, 70), (1, 12)])
def test_any_caption_gets_the_length_that_was_asked_for(caption: str, least: int, most: int) -> None:
    assert least <= len(dense_by_rules(caption, least_words=least, most_words=most).split()) <= most


def test_more_words_than_rules_know_are_refused() -> None:
    with pytest.raises(ValueError, match="not 900"):
        dense_by_rules("a dog", least_words=900, most_words=1000)
