import pytest

from lit_outpaint.planning.phrases import head, is_scenery, is_sky, names_nothing, one_of, singular_word, split_count


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("barns", "barn"),
        ("cactuses", "cactus"),
        ("cactus", "cactus"),
        ("boxes", "box"),
        ("houses", "house"),
        ("horses", "horse"),
        ("roses", "rose"),
        ("benches", "bench"),
        ("ponies", "pony"),
        ("men", "man"),
        ("leaves", "leaf"),
        ("sheep", "sheep"),
        ("glass", "glass"),
        ("buses", "bus"),
    ],
)
def test_singular(plural: str, singular: str) -> None:
    assert singular_word(plural) == singular


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


def test_scenery_is_sky_or_ground_by_the_noun_that_a_phrase_is_about() -> None:
    for phrase in (
        "a lake",
        "the grass of a meadow",
        "a chain of mountains",
        "layers of earth",
        "cloudy skies",
        "at night",
    ):
        assert is_scenery(phrase), phrase
    for phrase in ("a lake house", "a bowl of fruit", "a red barn", "a field mouse", "a pair of stars"):
        assert not is_scenery(phrase), phrase
    assert is_sky("a clear sky")
    assert not is_sky("a lake")


def test_words_about_the_picture_name_nothing() -> None:
    for phrase in ("a wide view", "nothing else", "no trees", "the light", "...", ""):
        assert names_nothing(phrase), phrase
    assert not names_nothing("a traffic light pole")
    assert head("a man with a hat") == "man"
