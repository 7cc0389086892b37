import pytest

from lit_outpaint.planning.phrases import (
    head,
    is_scenery,
    is_sky,
    many_of,
    names_nothing,
    one_of,
    split_count,
)


@pytest.mark.parametrize(
    ("phrase", "count", "rest"),
    [
        ("two red barns", 2, "red barns"),
        ("a red barn", 1, "red barn"),
        ("The barn", 1, "barn"),
        ("12 cars", 12, "cars"),
        ("a couple of dogs", 2, "dogs"),
        ("a pair of stars", 1, "pair of stars"),
        ("several dogs", None, "dogs"),
        ("dogs", None, "dogs"),
        ("snow", 1, "snow"),
        ("antelope", 1, "antelope"),
    ],
)
def test_counts(phrase: str, count: int | None, rest: str) -> None:
    assert split_count(phrase) == (count, rest)


def test_one_of_several() -> None:
    assert one_of("pairs of stars") == "a pair of stars"
    assert one_of("orange cats with hats") == "an orange cat with hats"
    assert one_of("men riding horses") == "a man riding horses"
    assert one_of("dogs running") == "a dog running"
    assert one_of("European houses painted blue") == "a European house painted blue"


def test_several_of_one() -> None:
    assert many_of("pair of stars") == "pairs of stars"
    assert many_of("red barn") == "red barns"
    assert many_of("dog running in a park") == "dogs running in a park"


@pytest.mark.parametrize(
    ("phrase", "noun"),
    [
        ("two dogs playing", "dogs"),
        ("a man riding a horse", "man"),
        ("a red flying car", "car"),
        ("a winding path", "path"),
        ("a tall building with a clock", "building"),
        ("a house painted blue", "house"),
        ("a windmill surrounded by tulips", "windmill"),
        ("a rusty shed", "shed"),
    ],
)
def test_a_participle_is_no_noun(phrase: str, noun: str) -> None:
    assert head(phrase) == noun


def test_scenery_is_sky_or_ground_by_the_noun_that_a_phrase_is_about() -> None:
    for phrase in (
        "a lake",
        "the grass of a meadow",
        "a chain of mountains",
        "layers of earth",
        "a stretch of water",
        "a lake surrounded by trees",
        "the edge of the woods",
        "cloudy skies",
        "at night",
    ):
        assert is_scenery(phrase), phrase
    for phrase in (
        "a lake house",
        "a bowl of fruit",
        "a red barn",
        "a field mouse",
        "a pair of stars",
        "a bottle of water",
        "a car made of wood",
        "a pile of snow",
        "a statue of ice",
        "snow falling",
    ):
        assert not is_scenery(phrase), phrase
    assert is_sky("a clear sky")
    assert not is_sky("a lake")


def test_words_about_the_picture_name_nothing() -> None:
    for phrase in (
        "a wide view",
        "nothing else",
        "no trees",
        "the light",
        "digital art",
        "4k",
        "highly detailed",
        "...",
        "",
    ):
        assert names_nothing(phrase), phrase
    for phrase in ("a traffic light pole", "a piece of street art", "a sketch"):
        assert not names_nothing(phrase), phrase
    assert head("a man with a hat") == "man"
