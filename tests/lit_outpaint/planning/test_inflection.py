import pytest

from lit_outpaint.planning.inflection import plural_word, singular_word, with_article


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("barns", "barn"),
        ("cactuses", "cactus"),
        ("boxes", "box"),
        ("houses", "house"),
        ("horses", "horse"),
        ("roses", "rose"),
        ("benches", "bench"),
        ("ponies", "pony"),
        ("pies", "pie"),
        ("movies", "movie"),
        ("tomatoes", "tomato"),
        ("potatoes", "potato"),
        ("shoes", "shoe"),
        ("toes", "toe"),
        ("men", "man"),
        ("oxen", "ox"),
        ("leaves", "leaf"),
        ("sheep", "sheep"),
        ("buses", "bus"),
    ],
)
def test_singular_and_plural(plural: str, singular: str) -> None:
    assert singular_word(plural) == singular
    assert singular_word(singular) == singular
    assert plural_word(singular) == plural
    assert plural_word(plural) == plural


@pytest.mark.parametrize("noun", ["glass", "grass", "cactus"])
def test_a_singular_in_s_stays(noun: str) -> None:
    assert singular_word(noun) == noun


@pytest.mark.parametrize(
    "phrase",
    [
        "an umbrella",
        "an orange",
        "an old barn",
        "an unimportant house",
        "an usher",
        "an hourglass",
        "a unicorn",
        "a uniform",
        "a European house",
        "a one-way street",
        "a user",
        "a house",
    ],
)
def test_the_article_goes_by_sound(phrase: str) -> None:
    assert with_article(phrase.split(maxsplit=1)[1]) == phrase
