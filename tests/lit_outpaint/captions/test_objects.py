import pytest

from lit_outpaint.captions.objects import caption_similarity, noun_phrases, things_seen


@pytest.mark.parametrize(
    ("caption", "phrases"),
    [
        ("two barns and a man riding a horse in a field at night", ["two barns", "a man", "a horse", "a field"]),
        ("A view of a field: a barn, tall grass, and a cactus", ["a field", "a barn", "tall grass", "a cactus"]),
        ("a winding path next to a red painted barn", ["a winding path", "a red painted barn"]),
        ("A man is standing in front of a table filled with food.", ["a man", "a table", "food"]),
        ("a row of trees along the river, under a cloudy sky with mountains", ["a row of trees", "the river"]),
        ("People walking down a street lined with tall buildings", ["People", "a street", "tall buildings"]),
        ("nothing else on the left", []),
        ("an empty view of the open sky", []),
        ("x", []),
    ],
)  # fmt: skip
def test_a_caption_names_its_things_and_places_without_what_holds_for_the_scene(
    caption: str, phrases: list[str]
) -> None:
    assert noun_phrases(caption) == phrases


def test_a_thing_is_listed_once_where_it_was_named_last() -> None:
    captions = ["a red barn in a meadow", "a blue boat on a lake", "two red barns by the lake"]
    assert things_seen(captions) == ["a meadow", "a blue boat", "two red barns", "the lake"]
    assert things_seen(captions, limit=2) == ["two red barns", "the lake"]
    assert things_seen([]) == []


def test_similarity_is_the_share_of_content_words() -> None:
    assert caption_similarity("a red barn in the meadow", "Red barns on a meadow.") == 1
    assert caption_similarity("a red barn", "a blue barn") == pytest.approx(1 / 3)
    assert caption_similarity("a lake", "a desert") == 0
    assert (caption_similarity("x", "x"), caption_similarity("x", "y")) == (1, 0)
