import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.captions.scene import MAX_PLACE_WORDS, elements, read_scene
from lit_outpaint.system.text import clean


@pytest.mark.parametrize(
    ("caption", "time", "weather", "mountains"),
    [
        ("A red barn in a meadow at night under a cloudy sky with mountains in the distance.",
         "at night", "under a cloudy sky", True),
        ("In the morning light a lake with two ducks", "at dawn", None, None),
        ("two kids play on the beach at sunset", "at dusk", None, None),
        ("A cloudless day over a field", "by day", "under a clear sky", None),
        ("a desert without mountains and no clouds", None, "under a clear sky", False),
        ("Sunday lunch on the table", None, None, None),
        ("a boat on clear water", None, None, None),
        ("a street on a rainy evening", "at dusk", "in the rain", None),
        ("an overcast midday, peaks on the horizon", "by day", "under a cloudy sky", True),
        ("the moonlit yard", "at night", None, None),
    ],
)  # fmt: skip
def test_global_attributes_are_read_from_any_wording(
    caption: str, time: str | None, weather: str | None, mountains: bool | None
) -> None:
    scene = read_scene(caption)
    assert (scene.time, scene.weather, scene.mountains) == (time, weather, mountains)


@pytest.mark.parametrize(
    ("caption", "place"),
    [
        (
            "A red barn in a meadow at night under a cloudy sky with mountains in the distance.",
            "a red barn in a meadow",
        ),
        ("At night, under clouds, a red barn stands in a meadow.", "a red barn stands in a meadow"),
        ("a photo of two kids playing on the beach at sunset", "two kids playing on the beach"),
        ("mountains behind a lake with a boat", "a lake with a boat"),
        ("a lake with mountains behind it", "a lake"),
        ("a view of a sandy desert: two cactuses", "a sandy desert with two cactuses"),
        ("a town with a red car on the left and a house in the middle", "a town with a red car and a house"),
        ("A cat", "a cat"),
        ("Night", "night"),
        ("I see a dog", "I see a dog"),
    ],
)
def test_the_place_is_what_is_left_of_a_caption(caption: str, place: str) -> None:
    assert read_scene(caption).place == place


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=100))
def test_any_text_with_a_word_has_a_short_place_and_no_other_text_passes(text: str) -> None:
    if any(map(str.isalnum, text)):
        place = read_scene(text).place
        assert place.strip()
        assert len(place.split()) <= MAX_PLACE_WORDS
        assert all(part.strip() for part in elements(text))
    else:
        with pytest.raises(ValueError, match="at least one word"):
            clean(text)


@pytest.mark.parametrize("text", ["without " * 5000 + "a barn", "a barn " + "with a " * 5000, "and " * 10000 + "x"])
def test_a_caption_without_end_is_read_in_a_moment(text: str) -> None:
    started = time.process_time()
    assert read_scene(text).place
    assert elements(text)
    assert time.process_time() - started < 5  # It took 24 s.


def test_elements_are_the_places_a_global_caption_lists() -> None:
    places = ["a meadow with a red barn", "a desert with a cactus", "a lake"]
    head = "a wide view at night under a cloudy sky with mountains: "
    assert elements(head + "a meadow with a red barn, a desert with a cactus, and a lake") == places
    assert elements(head + "a meadow with a red barn, a desert with a cactus and a lake") == places
    nested = "a meadow, a desert with two tents and a snowfield with an igloo and two red flags"
    assert elements(nested) == ["a meadow", "a desert with two tents", "a snowfield with an igloo and two red flags"]
    assert elements("a meadow with a red barn; a desert with a cactus; a lake") == places
    assert elements("a red barn and a tree") == ["a red barn", "a tree"]
    assert elements("a quiet valley at dusk") == ["a quiet valley"]
    assert elements("a cloudy day on a lake and a red barn") == ["a lake", "a red barn"]
    assert elements("a night in a city") == ["a city"]


def test_scenes_contradict_only_where_both_say_something() -> None:
    night, day, silent = map(read_scene, ("a lake at night", "a lake by day", "a lake"))
    assert night.contradicts(day)
    assert not night.contradicts(silent)
    assert not silent.contradicts(night)


def test_the_same_place_is_known_in_other_words() -> None:
    one, same, other = map(
        read_scene, ("a red barn in a meadow", "in the meadow stands a barn", "a desert with a cactus")
    )
    assert one.same_place(same)
    assert same.same_place(one)
    assert not one.same_place(other)


def test_captions_are_read_without_torch() -> None:
    code = "import sys, lit_outpaint.captions.rules; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)
