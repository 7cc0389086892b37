import pytest

from lit_outpaint.planning.attributes import attributed, is_attribute, with_noun_for_one, with_noun_of


@pytest.mark.parametrize(
    "phrase",
    ["red", "big and red", "very old", "painted red", "sleeping", "both sleeping", "wearing a hat", "made of wood"],
)
def test_adjectives_and_participles_alone_describe(phrase: str) -> None:
    assert is_attribute(phrase)


@pytest.mark.parametrize("phrase", ["a red", "flying cars", "a building", "painting", "shed", "orange", "red barn"])
def test_what_names_a_thing_does_not(phrase: str) -> None:
    assert not is_attribute(phrase)


def test_after_is_any_single_word_describes() -> None:
    assert is_attribute("spooky", stated=True)
    assert is_attribute("orange", stated=True)
    assert not is_attribute("spooky")
    assert not is_attribute("barns", stated=True)


def test_adjectives_stand_before_the_noun_and_participles_behind() -> None:
    assert attributed("a barn with a roof", "old") == "an old barn with a roof"
    assert attributed("two barns", "red") == "two red barns"
    assert attributed("barns", "red") == "red barns"
    assert attributed("the house", "red with a green roof") == "the red house with a green roof"
    assert attributed("the sun", "shining") == "the sun shining"


def test_a_noun_is_borrowed_in_its_number() -> None:
    assert with_noun_of("one red", "two blue balloons") == "one red balloon"
    assert with_noun_of("two red", "a blue balloon") == "two red balloons"
    assert with_noun_of("a red", "a balloon") is None
    assert with_noun_for_one("two small ones", "a big dog with a hat") == "two small dogs"
